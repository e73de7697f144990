//! "We understood, and said no": pure data in the shape of an API error.

use serde_json::Value;

use super::Noun;

/// The `type` of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    ApiError,
    CardError,
    IdempotencyError,
    InvalidRequestError,
}

impl ErrorType {
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorType::ApiError => "api_error",
            ErrorType::CardError => "card_error",
            ErrorType::IdempotencyError => "idempotency_error",
            ErrorType::InvalidRequestError => "invalid_request_error",
        }
    }
}

/// A request or a due step that was refused. It has changed nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub status: u16,
    pub kind: ErrorType,
    pub message: String,
    pub code: Option<String>,
    pub param: Option<String>,
    pub decline_code: Option<String>,
    pub charge: Option<String>,
    /// The payment intent that a card error is about, as the caller sees it.
    pub payment_intent: Option<Box<Value>>,
    /// The setup intent that the error is about, as the caller sees it.
    pub setup_intent: Option<Box<Value>>,
    /// What whoever answers should look up to complete the answer.
    pub about: Option<Box<About>>,
}

/// A document that a refusal is about: one that is missing, or is in another state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// What errors call it.
    pub name: &'static str,
    pub id: String,
}

impl Refusal {
    pub fn new(status: u16, kind: ErrorType, message: impl Into<String>) -> Self {
        Refusal {
            status,
            kind,
            message: message.into(),
            code: None,
            param: None,
            decline_code: None,
            charge: None,
            payment_intent: None,
            setup_intent: None,
            about: None,
        }
    }

    /// 400 `invalid_request_error`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Refusal::new(400, ErrorType::InvalidRequestError, message)
    }

    /// 402 `card_error`.
    pub fn card(code: impl Into<String>, message: impl Into<String>) -> Self {
        Refusal::new(402, ErrorType::CardError, message).code(code)
    }

    /// An id in a parameter names nothing (400). [`Refusal::not_found`] is its 404 twin for the path.
    pub fn no_such(name: &'static str, id: &str) -> Self {
        let exact = id.trim_matches(|character: char| character.is_whitespace() || "'\"".contains(character));
        let hint = if exact != id {
            format!("; the id was sent with quotes or spaces around it: send exactly {exact}")
        } else if name == super::payment_method::NOUN.name {
            "; check that it is the id of a PaymentMethod, and not of a card, a source or a token".to_owned()
        } else {
            String::new()
        };
        Refusal::invalid(format!("No such {name}: '{id}'{hint}")).code("resource_missing").about(name, id)
    }

    /// An id in the path names nothing.
    pub fn not_found(noun: &Noun, id: &str) -> Self {
        Refusal::no_such(noun.name, id).param("id").status(404)
    }

    /// The oddity of invoice items: their error says which mode was searched.
    #[must_use]
    pub fn in_mode(mut self, name: &str, livemode: bool) -> Self {
        if name == super::invoice_item::NOUN.name {
            self.message = format!("{}(livemode={livemode})", self.message);
        }
        self
    }

    pub fn missing(param: impl Into<String>) -> Self {
        let param = param.into();
        Refusal::invalid(format!("Missing required param: {param}.")).code("parameter_missing").param(param)
    }

    /// A parameter that this call does not have.
    pub fn unknown(param: impl Into<String>) -> Self {
        let param = param.into();
        Refusal::invalid(format!("Received unknown parameter: {param}")).code("parameter_unknown").param(param)
    }

    /// Parameters of which only one may be sent.
    pub fn exclusive(params: &[&str]) -> Self {
        let message = format!("You may only specify one of these parameters: {}.", params.join(", "));
        Refusal::invalid(message).code("parameters_exclusive")
    }

    /// A number that is smaller than it may be.
    pub fn below(minimum: i64) -> Self {
        let message = format!("This value must be greater than or equal to {minimum}.");
        Refusal::invalid(message).code("parameter_invalid_integer")
    }

    /// A number that is larger than it may be.
    pub fn above(maximum: i64) -> Self {
        let message = format!("This value must be less than or equal to {maximum}.");
        Refusal::invalid(message).code("parameter_invalid_integer")
    }

    /// Refuses the first of these parameters that was sent nevertheless.
    pub fn if_any_sent(params: &[(&str, bool)]) -> Result<(), Self> {
        match params.iter().find(|(_, sent)| *sent) {
            None => Ok(()),
            Some((param, _)) => Err(Refusal::unknown(*param)),
        }
    }

    /// Something Stripe can do and this server cannot do yet: refused, never ignored.
    pub fn not_supported_yet(param: impl Into<String>) -> Self {
        let param = param.into();
        Refusal::invalid(format!("The parameter '{param}' is not supported by this server yet.")).param(param)
    }

    /// A fault of our own that must not spoil its neighbours in a batch (answered as a 500).
    pub fn internal(message: impl Into<String>) -> Self {
        Refusal::new(500, ErrorType::ApiError, message)
    }

    /// The document that must be looked up to complete the answer.
    #[must_use]
    pub fn about(mut self, name: &'static str, id: &str) -> Self {
        self.about = Some(Box::new(About { name, id: id.to_owned() }));
        self
    }

    /// The page about the error's code.
    pub fn doc_url(&self) -> Option<String> {
        let code = self.code.as_ref()?;
        Some(format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")))
    }

    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says that the parameter is a member of another: `items[0]` of `phases[1]` is `phases[1][items][0]`.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        let Some(inner) = self.param.clone() else { return self };
        let (head, rest) = inner.split_at(inner.find('[').unwrap_or(inner.len()));
        let param = format!("{outer}[{head}]{rest}");
        let message = self.message.replacen(&format!("param: {inner}."), &format!("param: {param}."), 1);
        Refusal { message, ..self.param(param) }
    }

    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}
