//! One attempt: what goes out, and what of the answer is looked at. The answerer is a stranger: it gets
//! so much time and is read so far, and in live mode it must be reached over the public internet.

use std::{
    error::Error,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::sign;
use crate::{
    address,
    billing::{
        Timestamp,
        delivery::{CONTENT_TYPE, USER_AGENT},
        webhook_endpoint::WebhookEndpoint,
    },
    store::delivery::{Exchange, Lease},
};
use reqwest::{
    Client, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};

/// How long a connection may take to come about, and the answer in all.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the body of an answer is waited for once its status is there: only the status matters.
const BODY_PATIENCE: Duration = Duration::from_secs(1);
/// How much of an answer is read, so that its connection can be used again, and how much is kept.
const MOST_READ: usize = 64 * 1024;
const MOST_KEPT: usize = 2 * 1024;
const IDLE_CONNECTIONS: usize = 32;

/// Posts events.
#[derive(Clone)]
pub struct Sender {
    anywhere: Client,
    public: Client,
    allow_private: bool,
}

/// What an attempt came to.
#[derive(Debug)]
pub struct Answer {
    pub exchange: Exchange,
    pub acknowledged: bool,
    /// For how many seconds the endpoint asks to be left alone.
    pub retry_after: Option<i64>,
}

impl Sender {
    /// `allow_private`: live endpoints may lie in networks of one's own, too.
    pub fn new(allow_private: bool) -> Result<Sender, reqwest::Error> {
        // Refused when the process has chosen one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Redirects count as failures: they could lead anywhere. So could a proxy.
        let client = || {
            Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .connect_timeout(CONNECT_PATIENCE)
                .timeout(PATIENCE)
                .pool_max_idle_per_host(IDLE_CONNECTIONS)
                .user_agent(USER_AGENT)
        };
        Ok(Sender { anywhere: client().build()?, public: client().dns_resolver(PublicOnly).build()?, allow_private })
    }

    pub async fn send(&self, endpoint: &WebhookEndpoint, lease: &Lease, now: Timestamp) -> Answer {
        let started = Instant::now();
        let mut exchange = Exchange {
            started: now.unix_seconds(),
            url: endpoint.url.clone(),
            signature: sign::header(endpoint.internal.secrets(now), now, &lease.body),
            ..Exchange::default()
        };
        let mut retry_after = None;
        match self.post(endpoint, lease, &exchange.signature).await {
            Ok(response) => {
                exchange.status = i16::try_from(response.status().as_u16()).ok();
                let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
                retry_after = header.and_then(|seconds| seconds.parse().ok());
                exchange.response = Some(head_of(response).await);
            }
            Err(error) => exchange.error = Some(in_words(error.as_ref())),
        }
        exchange.milliseconds = i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX);
        let acknowledged = exchange.status.is_some_and(|status| (200..300).contains(&status));
        Answer { exchange, acknowledged, retry_after }
    }

    async fn post(
        &self,
        endpoint: &WebhookEndpoint,
        lease: &Lease,
        signature: &str,
    ) -> Result<Response, Box<dyn Error + Send + Sync>> {
        let url = Url::parse(&endpoint.url)?;
        let client = if endpoint.livemode && !self.allow_private {
            check(&url)?;
            &self.public
        } else {
            &self.anywhere
        };
        let request = client
            .post(url)
            .header("content-type", CONTENT_TYPE)
            .header("stripe-signature", signature)
            .header("dunlin-sequence", lease.sequence)
            .body(lease.body.clone());
        Ok(request.send().await.map_err(reqwest::Error::without_url)?)
    }
}

/// Live mode: encrypted, and no address that is written out and private. Names are looked at when they
/// are resolved.
fn check(url: &Url) -> Result<(), String> {
    if url.scheme() != "https" {
        return Err("webhook endpoints in live mode must use https".to_owned());
    }
    match url.host_str().and_then(address::literal) {
        Some(address) if !address::is_public(address) => Err(format!("{address} is not a public address")),
        _ => Ok(()),
    }
}

/// Resolves names to public addresses only. The connection is made to what was checked here, so a name
/// that is bound anew in between gains nothing.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|found| address::is_public(found.ip())).collect();
            if public.is_empty() {
                return Err(format!("{} has no public address", name.as_str()).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// The beginning of an answer's body.
async fn head_of(mut response: Response) -> String {
    let mut head = Vec::new();
    let _ = tokio::time::timeout(BODY_PATIENCE, async {
        let mut read = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = MOST_KEPT.saturating_sub(head.len()).min(chunk.len());
            head.extend_from_slice(&chunk[..room]);
            read += chunk.len();
            if read > MOST_READ {
                break;
            }
        }
    })
    .await;
    // The database takes no NUL.
    String::from_utf8_lossy(&head).replace('\0', "\u{fffd}")
}

/// What went wrong, down to its cause.
fn in_words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words.chars().filter(|character| *character != '\0').take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_of_writing_a_private_address_is_let_through() {
        let refused = [
            "http://example.com/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://0/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://[fd00:ec2::254]/",
            "https://10.0.0.1:8443/",
            "https://user:pass@192.168.1.1/",
            "https://１２７.0.0.1/",
            "https://[fe80::1]/",
            "https://100.64.0.1/",
            "https://224.0.0.1/",
            "https://[ff02::1]/",
            "https://[64:ff9b::a00:1]/",
            "https://255.255.255.255/",
        ];
        for url in refused {
            assert!(check(&Url::parse(url).unwrap()).is_err(), "{url}");
        }
        for url in ["https://8.8.8.8/", "https://example.com/", "https://[2606:4700::1111]/", "https://localhost/"] {
            assert!(check(&Url::parse(url).unwrap()).is_ok(), "{url}: decided when the name is resolved, if at all");
        }
    }

    #[tokio::test]
    async fn names_of_private_addresses_do_not_resolve() {
        for name in ["localhost", "localhost.", "ip6-localhost"] {
            assert!(PublicOnly.resolve(name.parse().unwrap()).await.is_err(), "{name}");
        }
    }
}
