//! What people see in a browser. A page does what it does by the same verbs as the API.

pub mod authenticate;

use axum::Router;

use crate::engine::Engine;

/// All pages.
pub fn routes(engine: Engine) -> Router {
    authenticate::routes().with_state(engine)
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
                     button{font:inherit;padding:.5rem 1rem;border:1px solid #888;border-radius:.25rem;background:#fff;cursor:pointer}\
                     button[value=succeed]{background:#1a1a1a;color:#fff}";

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
