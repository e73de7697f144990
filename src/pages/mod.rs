//! What people see in a browser. A page does what it does by the same verbs as the API.

pub mod authenticate;
pub mod checkout;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    billing::Refusal,
    dialect::form::Form,
    engine::{Engine, Failure},
    store::Fault,
};

/// All pages.
pub fn routes(engine: Engine) -> Router {
    authenticate::routes().merge(checkout::routes()).with_state(engine)
}

/// The largest form that is read.
const MAXIMUM_BODY: usize = 16 * 1024;

/// Why there is nothing to be seen.
enum Failed {
    NotFound,
    Refused(Refusal),
    Broken(Fault),
}

impl Failed {
    fn page(self, title: &str, nothing: &str) -> Response {
        let (status, message) = match self {
            Failed::NotFound => (StatusCode::NOT_FOUND, nothing.to_owned()),
            Failed::Refused(refusal) => {
                (StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), refusal.message)
            }
            Failed::Broken(fault) => {
                tracing::error!(error = &fault as &dyn std::error::Error, "a page failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong. Please try again.".to_owned())
            }
        };
        html(status, &page(title, &format!("<p>{}</p>", escape(&message))))
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Failed::Broken(fault)
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Failed::Refused(refusal),
            Failure::Broken(fault) => Failed::Broken(fault),
        }
    }
}

/// What was sent, in the address and as a form.
async fn form_of(request: Request) -> Result<Form, Failed> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAXIMUM_BODY).await.map_err(|_| Failed::NotFound)?;
    Form::parse(&[parts.uri.query().unwrap_or_default().as_bytes(), &body]).map_err(Failed::Refused)
}

fn redirect(url: &str) -> Result<Response, Refusal> {
    let location = HeaderValue::from_str(url).map_err(|_| Refusal::invalid("The address cannot be followed."))?;
    Ok((StatusCode::SEE_OTHER, guarded(), [(header::LOCATION, location)], Body::empty()).into_response())
}

fn html(status: StatusCode, text: &str) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    (status, guarded(), [kind], text.to_owned()).into_response()
}

/// The address holds a secret: it must not leak to other pages, and nobody may frame this one.
fn guarded() -> [(HeaderName, HeaderValue); 2] {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    [
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
    ]
}

/// A whole page. `content` is HTML already.
fn page(title: &str, content: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <main>\n<h1>{title}</h1>\n{content}\n</main>\n</body>\n</html>\n",
        title = escape(title)
    )
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#f4f4f2}\
                     main{max-width:26rem;margin:12vh auto;padding:2rem;background:#fff;border-radius:.5rem}\
                     h1{font-size:1.25rem;margin:0 0 1rem}form{display:flex;gap:.75rem;margin-top:1.5rem}\
                     form.tall{flex-direction:column}label{display:flex;flex-direction:column;gap:.25rem}\
                     input,select{font:inherit;padding:.5rem;border:1px solid #888;border-radius:.25rem}\
                     table{width:100%;border-collapse:collapse}td{padding:.25rem 0}td+td{text-align:right}\
                     tr.total{font-weight:600;border-top:1px solid #ccc}.error{color:#a40000}\
                     button{font:inherit;padding:.5rem 1rem;border:1px solid #888;border-radius:.25rem;background:#fff;cursor:pointer}\
                     button[value=succeed],form.tall button{background:#1a1a1a;color:#fff}";

/// Text as HTML text, also between quotes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert!(page("<Pay>", "<p>now</p>").contains("<title>&lt;Pay&gt;</title>"));
    }
}
