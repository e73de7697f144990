//! Bracketed forms, turned into a tree once: `items[0][price]=x`, `expand[]=a`, `metadata[k]=v`.

use std::collections::BTreeMap;

use crate::billing::Refusal;

/// How deep brackets may nest, and how many parameters there may be.
const MAXIMUM_DEPTH: usize = 8;
const MAXIMUM_PARAMETERS: usize = 1000;

/// A parsed form.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    Text(String),
    List(Vec<Form>),
    /// In the order they came in.
    Map(Vec<(String, Form)>),
}

impl Form {
    /// The same, whatever the order was in which its members came.
    pub fn sorted(self) -> Form {
        match self {
            Form::Text(text) => Form::Text(text),
            Form::List(items) => Form::List(items.into_iter().map(Form::sorted).collect()),
            Form::Map(members) => {
                let mut members: Vec<(String, Form)> =
                    members.into_iter().map(|(name, member)| (name, member.sorted())).collect();
                members.sort_by(|one, other| one.0.cmp(&other.0));
                Form::Map(members)
            }
        }
    }
}

/// What is built while parsing: a list is a map by index until all parts are there.
#[derive(Debug)]
enum Node {
    Text(String),
    List(BTreeMap<u32, Node>),
    Map(Vec<(String, Node)>),
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(u32),
    Push,
}

impl Form {
    pub const fn empty() -> Form {
        Form::Map(Vec::new())
    }

    /// Parses query strings and bodies, one after the other, into one tree.
    pub fn parse(parts: &[&[u8]]) -> Result<Form, Refusal> {
        let mut root = Node::Map(Vec::new());
        let mut count = 0;
        for pair in parts.iter().flat_map(|part| part.split(|byte| *byte == b'&')).filter(|pair| !pair.is_empty()) {
            count += 1;
            if count > MAXIMUM_PARAMETERS {
                return Err(Refusal::invalid(format!("A request can have at most {MAXIMUM_PARAMETERS} parameters.")));
            }
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let key = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            insert(&mut root, &key, &value)?;
        }
        Ok(root.finish())
    }

    pub fn get(&self, key: &str) -> Option<&Form> {
        match self {
            Form::Map(members) => members.iter().find(|(name, _)| name == key).map(|(_, form)| form),
            Form::Text(_) | Form::List(_) => None,
        }
    }

    pub fn text(text: &str) -> Form {
        Form::Text(text.to_owned())
    }

    /// A map of one member.
    pub fn map(key: &str, value: Form) -> Form {
        Form::Map(vec![(key.to_owned(), value)])
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Form> {
        let Form::Map(members) = self else { return None };
        members.iter_mut().find(|(name, _)| name == key).map(|(_, form)| form)
    }

    /// Puts a member in, in place of what it was. What is no map stays as it is.
    pub fn put(&mut self, key: &str, value: Form) {
        if let Form::Map(members) = self {
            match members.iter_mut().find(|(name, _)| name == key) {
                Some((_, form)) => *form = value,
                None => members.push((key.to_owned(), value)),
            }
        }
    }

    /// Gives a member another name; what has that name already stays.
    pub fn rename(&mut self, from: &str, to: &str) {
        if self.get(to).is_none()
            && let Some(value) = self.take(from)
        {
            self.put(to, value);
        }
    }

    /// Takes a member out.
    pub fn take(&mut self, key: &str) -> Option<Form> {
        let Form::Map(members) = self else { return None };
        let place = members.iter().position(|(name, _)| name == key)?;
        Some(members.remove(place).1)
    }
}

impl Node {
    fn finish(self) -> Form {
        match self {
            Node::Text(text) => Form::Text(text),
            Node::List(items) => Form::List(items.into_values().map(Node::finish).collect()),
            Node::Map(members) => Form::Map(members.into_iter().map(|(key, node)| (key, node.finish())).collect()),
        }
    }
}

fn decode(text: &[u8]) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit =
                    || rest.next().and_then(|byte| char::from(byte).to_digit(16)).and_then(|d| u8::try_from(d).ok());
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(Refusal::invalid("Invalid percent-encoding in the request's parameters."));
                };
                bytes.push(high * 16 + low);
            }
            other => bytes.push(other),
        }
    }
    let text =
        String::from_utf8(bytes).map_err(|_| Refusal::invalid("The request's parameters are not valid UTF-8."))?;
    if text.contains('\0') {
        return Err(Refusal::invalid("The request's parameters must not contain NUL characters."));
    }
    Ok(text)
}

/// `a[b][0][]` as steps.
fn steps(key: &str) -> Result<Vec<Step<'_>>, Refusal> {
    let malformed = || Refusal::invalid(format!("Invalid parameter name: {key}"));
    let (first, mut rest) = match key.find('[') {
        Some(place) => key.split_at(place),
        None => (key, ""),
    };
    if first.is_empty() {
        return Err(malformed());
    }
    let mut steps = vec![Step::Key(first)];
    while !rest.is_empty() {
        let inner = rest.strip_prefix('[').ok_or_else(malformed)?;
        let end = inner.find(']').ok_or_else(malformed)?;
        let name = &inner[..end];
        steps.push(match name {
            "" => Step::Push,
            // Only what can be an index: `metadata[2024]` becomes a key again where a map is wanted.
            digits if digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_or(Step::Key(name), Step::Index)
            }
            name => Step::Key(name),
        });
        rest = &inner[end + 1..];
        if steps.len() > MAXIMUM_DEPTH {
            return Err(
                Refusal::invalid(format!("Parameters can be nested at most {MAXIMUM_DEPTH} levels deep.")).param(first)
            );
        }
    }
    Ok(steps)
}

fn insert(root: &mut Node, key: &str, value: &str) -> Result<(), Refusal> {
    let steps = steps(key)?;
    let mut node = root;
    for (place, step) in steps.iter().enumerate() {
        let next = steps.get(place + 1).copied();
        let mut is_new = false;
        // What a new child will be is known from the step that follows.
        let child = || {
            is_new = true;
            match next {
                None => Node::Text(value.to_owned()),
                Some(Step::Key(_)) => Node::Map(Vec::new()),
                Some(Step::Index(_) | Step::Push) => Node::List(BTreeMap::new()),
            }
        };
        node = enter(node, *step, next, child).ok_or_else(|| conflict(key))?;
        if next.is_none() && !is_new {
            return Err(if matches!(node, Node::Text(_)) { duplicate(key) } else { conflict(key) });
        }
    }
    Ok(())
}

/// The child that a step leads to, made if it is not there.
fn enter<'n>(
    node: &'n mut Node,
    step: Step<'_>,
    next: Option<Step<'_>>,
    child: impl FnOnce() -> Node,
) -> Option<&'n mut Node> {
    // `x[2024]=…` beside `x[name]=…`: digits were a key after all.
    if let (Node::List(items), Step::Key(_)) = (&mut *node, step) {
        let members = std::mem::take(items).into_iter().map(|(index, node)| (index.to_string(), node)).collect();
        *node = Node::Map(members);
    }
    match (node, step) {
        (Node::Map(members), Step::Key(_) | Step::Index(_)) => {
            let name = match step {
                Step::Key(name) => name.to_owned(),
                Step::Index(index) => index.to_string(),
                Step::Push => return None,
            };
            let place = match members.iter().position(|(known, _)| *known == name) {
                Some(place) => place,
                None => {
                    members.push((name, child()));
                    members.len() - 1
                }
            };
            members.get_mut(place).map(|(_, node)| node)
        }
        (Node::List(items), Step::Index(index)) => Some(items.entry(index).or_insert_with(child)),
        (Node::List(items), Step::Push) => {
            let end = items.keys().next_back().map_or(0, |last| last + 1);
            // A new element begins when a key repeats.
            let current = end.checked_sub(1);
            let continues = current.and_then(|index| items.get(&index)).is_some_and(|element| match (element, next) {
                (Node::Map(members), Some(Step::Key(key))) => members.iter().all(|(known, _)| known != key),
                _ => false,
            });
            let index = if continues { current? } else { end };
            Some(items.entry(index).or_insert_with(child))
        }
        (Node::Text(_), _) | (Node::Map(_), Step::Push) | (Node::List(_), Step::Key(_)) => None,
    }
}

fn conflict(key: &str) -> Refusal {
    Refusal::invalid(format!("The parameter {key} was sent both as a value and as an object or an array.")).param(key)
}

fn duplicate(key: &str) -> Refusal {
    Refusal::invalid(format!("The parameter {key} was sent more than once.")).param(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(value: &str) -> Form {
        Form::Text(value.to_owned())
    }

    fn map(members: &[(&str, Form)]) -> Form {
        Form::Map(members.iter().map(|(key, form)| ((*key).to_owned(), form.clone())).collect())
    }

    #[test]
    fn reads_what_libraries_send() {
        let cases = [
            ("a=1&b=2", map(&[("a", text("1")), ("b", text("2"))])),
            ("a%5Bb%5D=x+y%26", map(&[("a", map(&[("b", text("x y&"))]))])),
            ("expand[]=a&expand[]=b", map(&[("expand", Form::List(vec![text("a"), text("b")]))])),
            (
                "items[1][price]=b&items[0][price]=a&items[0][quantity]=2",
                map(&[(
                    "items",
                    Form::List(vec![
                        map(&[("price", text("a")), ("quantity", text("2"))]),
                        map(&[("price", text("b"))]),
                    ]),
                )]),
            ),
            (
                "i[][p]=a&i[][q]=1&i[][p]=b",
                map(&[("i", Form::List(vec![map(&[("p", text("a")), ("q", text("1"))]), map(&[("p", text("b"))])]))]),
            ),
            ("m[2024]=x&m[name]=y", map(&[("m", map(&[("2024", text("x")), ("name", text("y"))]))])),
            ("a=", map(&[("a", text(""))])),
            ("", map(&[])),
        ];
        for (form, tree) in cases {
            assert_eq!(Form::parse(&[form.as_bytes()]), Ok(tree), "{form}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_meant() {
        for form in [
            "a=1&a=2",
            "a=1&a[b]=2",
            "a[b]=1&a=2",
            "=1",
            "[a]=1",
            "a[b=1",
            "a[b]c=1",
            "a=%",
            "a=%zz",
            "a=%00",
            "a=%ff",
            "a=&a=1",
        ] {
            assert!(Form::parse(&[form.as_bytes()]).is_err(), "{form}");
        }
        assert!(Form::parse(&[format!("a{}=1", "[b]".repeat(20)).as_bytes()]).is_err());
        assert!(Form::parse(&["a[]=1&".repeat(1001).as_bytes()]).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = Form::parse(&[&bytes]);
        }

        #[test]
        fn never_panics_on_brackets(form in r"([a-c](\[[a-c0-9]{0,2}\]){0,4}=[a-z]{0,2}&){0,6}") {
            let _ = Form::parse(&[form.as_bytes()]);
        }
    }
}
