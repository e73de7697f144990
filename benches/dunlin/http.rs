//! The least client that can call the API: one connection, one call at a time. A richer one would take
//! from the server the processor time that is to be measured.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use crate::Outcome;

/// The secret key of every server that a bench starts.
pub const KEY: &str = "sk_test_benchbenchbenchbench";

pub struct Client {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Outcome<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Client { stream: BufReader::with_capacity(64 * 1024, stream), line: String::new(), body: Vec::new() })
    }

    /// Calls, and checks that it was done.
    pub fn call(&mut self, method: &str, path: &str, form: &str) -> Outcome<()> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {KEY}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.header()?.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = 0;
        loop {
            let header = self.header()?;
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        if status == "200" {
            return Ok(());
        }
        Err(format!("{method} {path} answered {status}: {}", String::from_utf8_lossy(&self.body)).into())
    }

    fn header(&mut self) -> Outcome<&str> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            return Err("the server hung up".into());
        }
        Ok(self.line.trim_end())
    }

    fn document(&mut self, method: &str, path: &str, form: &str) -> Outcome<Value> {
        self.call(method, path, form)?;
        Ok(serde_json::from_slice(&self.body)?)
    }

    pub fn get(&mut self, path: &str) -> Outcome<Value> {
        self.document("GET", path, "")
    }

    pub fn post(&mut self, path: &str, form: &str) -> Outcome<Value> {
        self.document("POST", path, form)
    }

    /// Makes something; answers its id.
    pub fn make(&mut self, path: &str, form: &str) -> Outcome<String> {
        text(&self.post(path, form)?, "id")
    }
}

pub fn text(document: &Value, member: &str) -> Outcome<String> {
    let text = document.get(member).and_then(Value::as_str);
    Ok(text.ok_or_else(|| format!("there is no {member} in {document}"))?.to_owned())
}
