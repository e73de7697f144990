//! The query language of searches: `email~"@example.com" AND -metadata["plan"]:"free"`.
//!
//! ```text
//! query    = clause { separator clause }          at most ten, and no parentheses
//! separator = "AND" | "OR"                        in any case, never both; a space alone means AND
//! clause   = [ "-" ] field operator value
//! field    = name { "." name } | "metadata" "[" quoted "]"
//! operator = ":" | "~" | ">" | ">=" | "<" | "<="
//! value    = quoted | number | "true" | "false" | "null"
//! quoted   = "…" | '…'                            a backslash takes the next character as it is
//! ```
//!
//! What is read here is only form. Which fields a resource has, and what may be asked of each, is
//! [`super::resolve`]'s to say.

use std::fmt;

/// What a search asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub join: Join,
    pub clauses: Vec<Clause>,
}

/// How the clauses belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    And,
    Or,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    pub negated: bool,
    pub field: Field,
    pub operator: Operator,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// `email`, `billing_details.address.postal_code`.
    Named(String),
    /// `metadata["key"]`.
    Metadata(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Is,
    Contains,
    Above,
    AtLeast,
    Below,
    AtMost,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The field is not set.
    Null,
    /// A number or a truth value, as it was written.
    Bare(String),
    Quoted(String),
}

/// Why a query cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It does not follow the grammar.
    Grammar,
    TooManyClauses,
    MixedJoins,
    Parentheses,
}

/// How many clauses a query may have.
pub const MAXIMUM_CLAUSES: usize = 10;

/// Longer ones first: `>=` is not `>`.
const OPERATORS: [(&str, Operator); 6] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    (">", Operator::Above),
    ("<", Operator::Below),
    (":", Operator::Is),
    ("~", Operator::Contains),
];

impl Query {
    pub fn parse(text: &str) -> Result<Query, Unreadable> {
        let mut reader = Reader { rest: text.trim() };
        let mut clauses = vec![reader.clause()?];
        let mut join = None;
        while !reader.rest.is_empty() {
            let joined = reader.join()?;
            if join.is_some_and(|before| before != joined) {
                return Err(Unreadable::MixedJoins);
            }
            join = Some(joined);
            clauses.push(reader.clause()?);
        }
        if clauses.len() > MAXIMUM_CLAUSES {
            return Err(Unreadable::TooManyClauses);
        }
        Ok(Query { join: join.unwrap_or(Join::And), clauses })
    }
}

/// What is left of a query.
struct Reader<'q> {
    rest: &'q str,
}

impl<'q> Reader<'q> {
    fn clause(&mut self) -> Result<Clause, Unreadable> {
        if self.rest.starts_with(['(', ')']) {
            return Err(Unreadable::Parentheses);
        }
        let negated = self.eat("-");
        let field = self.field()?;
        let operator = OPERATORS.iter().find(|(sign, _)| self.eat(sign)).map(|(_, operator)| *operator);
        let operator = operator.ok_or(Unreadable::Grammar)?;
        Ok(Clause { negated, field, operator, value: self.value()? })
    }

    fn field(&mut self) -> Result<Field, Unreadable> {
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        if name.is_empty() {
            return Err(Unreadable::Grammar);
        }
        if name != "metadata" {
            return Ok(Field::Named(name.to_owned()));
        }
        if !self.eat("[") {
            return Err(Unreadable::Grammar);
        }
        let key = self.quoted()?;
        if self.eat("]") { Ok(Field::Metadata(key)) } else { Err(Unreadable::Grammar) }
    }

    fn value(&mut self) -> Result<Value, Unreadable> {
        if self.rest.starts_with(['"', '\'']) {
            return Ok(Value::Quoted(self.quoted()?));
        }
        match self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')) {
            "null" => Ok(Value::Null),
            word if matches!(word, "true" | "false") || is_number(word) => Ok(Value::Bare(word.to_owned())),
            _ => Err(Unreadable::Grammar),
        }
    }

    fn quoted(&mut self) -> Result<String, Unreadable> {
        let mut characters = self.rest.chars();
        let quote = characters.next().filter(|c| matches!(c, '"' | '\'')).ok_or(Unreadable::Grammar)?;
        let mut text = String::new();
        loop {
            match characters.next().ok_or(Unreadable::Grammar)? {
                '\\' => text.push(characters.next().ok_or(Unreadable::Grammar)?),
                // Postgres keeps no such character, so nothing could be found by it.
                '\0' => return Err(Unreadable::Grammar),
                end if end == quote => break,
                other => text.push(other),
            }
        }
        self.rest = characters.as_str();
        Ok(text)
    }

    /// What stands between two clauses.
    fn join(&mut self) -> Result<Join, Unreadable> {
        if self.rest.starts_with(['(', ')']) {
            return Err(Unreadable::Parentheses);
        }
        if !self.space() {
            return Err(Unreadable::Grammar);
        }
        for (word, join) in [("and", Join::And), ("or", Join::Or)] {
            let Some((head, tail)) = self.rest.split_at_checked(word.len()) else { continue };
            if head.eq_ignore_ascii_case(word) && tail.starts_with(char::is_whitespace) {
                self.rest = tail.trim_start();
                return Ok(join);
            }
        }
        Ok(Join::And)
    }

    /// Whether there was any.
    fn space(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start();
        self.rest.len() < before
    }

    fn eat(&mut self, sign: &str) -> bool {
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'q str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, decimals) = word.split_once('.').unwrap_or((word, "0"));
    digits(whole.strip_prefix('-').unwrap_or(whole)) && digits(decimals)
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = match self.join {
            Join::And => " AND ",
            Join::Or => " OR ",
        };
        for (place, clause) in self.clauses.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { join })?;
            write!(f, "{clause}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.negated { "-" } else { "" })?;
        match &self.field {
            Field::Named(name) => f.write_str(name)?,
            Field::Metadata(key) => write!(f, "metadata[{}]", quote(key))?,
        }
        f.write_str(self.operator.sign())?;
        match &self.value {
            Value::Null => f.write_str("null"),
            Value::Bare(word) => f.write_str(word),
            Value::Quoted(text) => f.write_str(&quote(text)),
        }
    }
}

impl Operator {
    pub fn sign(self) -> &'static str {
        OPERATORS.iter().find(|(_, operator)| *operator == self).map_or("", |(sign, _)| sign)
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(name: &str, operator: Operator, value: Value) -> Clause {
        Clause { negated: false, field: Field::Named(name.to_owned()), operator, value }
    }

    fn quoted(text: &str) -> Value {
        Value::Quoted(text.to_owned())
    }

    fn bare(word: &str) -> Value {
        Value::Bare(word.to_owned())
    }

    /// Clauses: a field, an operator and a value, perhaps negated.
    #[test]
    fn clauses_are_read() {
        let metadata = |key: &str| Field::Metadata(key.to_owned());
        for (text, clause) in [
            (r#"email:"ada@example.com""#, named("email", Operator::Is, quoted("ada@example.com"))),
            ("email:'ada@example.com'", named("email", Operator::Is, quoted("ada@example.com"))),
            (r#"name~"ada""#, named("name", Operator::Contains, quoted("ada"))),
            (r#"name:"A \"B\" \\ 'C'""#, named("name", Operator::Is, quoted(r#"A "B" \ 'C'"#))),
            (r"name:'it\'s'", named("name", Operator::Is, quoted("it's"))),
            ("created>1700000000", named("created", Operator::Above, bare("1700000000"))),
            ("created>=1", named("created", Operator::AtLeast, bare("1"))),
            ("total<-5", named("total", Operator::Below, bare("-5"))),
            ("total<=5.25", named("total", Operator::AtMost, bare("5.25"))),
            ("active:true", named("active", Operator::Is, bare("true"))),
            ("url:null", named("url", Operator::Is, Value::Null)),
            (r#"url:"null""#, named("url", Operator::Is, quoted("null"))),
            ("  amount:0042  ", named("amount", Operator::Is, bare("0042"))),
            ("-url:null", Clause { negated: true, ..named("url", Operator::Is, Value::Null) }),
            (
                "payment_method_details.card.last4:4242",
                named("payment_method_details.card.last4", Operator::Is, bare("4242")),
            ),
            (
                r#"metadata["or der"]:"6735""#,
                Clause { field: metadata("or der"), ..named("", Operator::Is, quoted("6735")) },
            ),
            (
                r"-metadata['ke\'y']:null",
                Clause { negated: true, field: metadata("ke'y"), ..named("", Operator::Is, Value::Null) },
            ),
        ] {
            assert_eq!(Query::parse(text), Ok(Query { join: Join::And, clauses: vec![clause] }), "{text}");
        }
    }

    /// Clauses are joined by AND or by OR, in any case; a space alone means AND.
    #[test]
    fn clauses_are_joined() {
        for (text, join, count) in [
            ("a:1 AND b:2 AND c:3", Join::And, 3),
            ("a:1 and b:2", Join::And, 2),
            ("a:1 Or b:2 oR c:3", Join::Or, 3),
            ("a:1   b:2", Join::And, 2),
            ("a:1 b:2 AND c:3", Join::And, 3),
            ("a:1 and:2", Join::And, 2),
            ("a:1 or or:2", Join::Or, 2),
            ("a:'x' AND\tb:'y'", Join::And, 2),
            ("a:1 b:2 c:3 d:4 e:5 f:6 g:7 h:8 i:9 j:10", Join::And, 10),
        ] {
            let query = Query::parse(text).expect(text);
            assert_eq!((query.join, query.clauses.len()), (join, count), "{text}");
        }
    }

    /// What the language does not have: other joins, parentheses, more than ten clauses, loose ends.
    #[test]
    fn other_texts_are_refused() {
        for (text, why) in [
            ("a:1 AND b:2 OR c:3", Unreadable::MixedJoins),
            ("a:1 b:2 OR c:3", Unreadable::MixedJoins),
            ("a:1 b:2 c:3 d:4 e:5 f:6 g:7 h:8 i:9 j:10 k:11", Unreadable::TooManyClauses),
            ("(a:1 OR b:2)", Unreadable::Parentheses),
            ("a:1 AND (b:2)", Unreadable::Parentheses),
            ("", Unreadable::Grammar),
            ("   ", Unreadable::Grammar),
            ("ada", Unreadable::Grammar),
            ("email", Unreadable::Grammar),
            ("email:", Unreadable::Grammar),
            ("email=\"x\"", Unreadable::Grammar),
            ("email:ada", Unreadable::Grammar),
            ("email : \"ada\"", Unreadable::Grammar),
            (":\"ada\"", Unreadable::Grammar),
            ("--email:\"ada\"", Unreadable::Grammar),
            ("email:\"ada", Unreadable::Grammar),
            ("email:\"ada\\", Unreadable::Grammar),
            ("email:\"ada\"name:\"b\"", Unreadable::Grammar),
            ("email:\"ada\" AND", Unreadable::Grammar),
            ("email:\"ada\" AND AND name:\"b\"", Unreadable::Grammar),
            ("AND email:\"ada\"", Unreadable::Grammar),
            ("email:\"a\0a\"", Unreadable::Grammar),
            ("metadata:\"x\"", Unreadable::Grammar),
            ("metadata[key]:\"x\"", Unreadable::Grammar),
            ("metadata[\"key\":\"x\"", Unreadable::Grammar),
            ("amount>1,000", Unreadable::Grammar),
            ("amount>-", Unreadable::Grammar),
            ("amount>1.", Unreadable::Grammar),
            ("amount>1.2.3", Unreadable::Grammar),
            ("active:TRUE", Unreadable::Grammar),
        ] {
            assert_eq!(Query::parse(text), Err(why), "{text}");
        }
    }

    fn any_clause() -> impl Strategy<Value = Clause> {
        let name = "[a-z_]{1,8}(\\.[a-z0-9_]{1,6}){0,2}".prop_filter("a word of its own", |name| name != "metadata");
        let field = prop_oneof![name.prop_map(Field::Named), "[^\0]{0,12}".prop_map(Field::Metadata)];
        let operator = (0..OPERATORS.len()).prop_map(|place| OPERATORS[place].1);
        let value = prop_oneof![
            Just(Value::Null),
            "-?[0-9]{1,12}(\\.[0-9]{1,3})?|true|false".prop_map(Value::Bare),
            "[^\0]{0,16}".prop_map(Value::Quoted),
        ];
        (any::<bool>(), field, operator, value).prop_map(|(negated, field, operator, value)| Clause {
            negated,
            field,
            operator,
            value,
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            clauses in proptest::collection::vec(any_clause(), 1..=MAXIMUM_CLAUSES),
            or in any::<bool>(),
        ) {
            let join = if or && clauses.len() > 1 { Join::Or } else { Join::And };
            let query = Query { join, clauses };
            prop_assert_eq!(Query::parse(&query.to_string()), Ok(query));
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,60}", pieces in "[a-z:~<>=\\-\"'\\\\\\[\\]() ANDORé0-9.]{0,60}") {
            let _ = Query::parse(&text);
            if let Ok(query) = Query::parse(&pieces) {
                prop_assert_eq!(Query::parse(&query.to_string()), Ok(query));
            }
        }
    }
}
