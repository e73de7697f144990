//! The parameters of a list: filters that the noun declares, and paging.

use super::{
    form::Form,
    params::one_of,
    unknown::{known_only, meant},
};
use crate::{
    billing::{
        Noun, Refusal, event_types,
        noun::{By, Filter, Meaning, Target, Word},
        searchable,
    },
    store::list::{Condition, Cursor},
};

/// What a list request asks for.
#[derive(Debug)]
pub struct ListParams {
    pub conditions: Vec<Condition>,
    pub cursor: Option<Cursor>,
    pub limit: i64,
}

const DEFAULT_LIMIT: i64 = 10;
const MAXIMUM_LIMIT: i64 = 100;
const MAXIMUM_VALUES: usize = 100;

/// Reads the parameters of a noun's list. `expand` has been taken out before.
pub fn read(noun: &Noun, form: &Form) -> Result<ListParams, Refusal> {
    check_unknown(noun, form)?;
    if form.get("type").is_some() && form.get("types").is_some() {
        return Err(Refusal::exclusive(&["type", "types"]).param("type"));
    }
    let mut conditions = Vec::new();
    for filter in noun.filters {
        if let Some(value) = at(form, filter.param) {
            conditions.extend(condition(noun, filter, value)?);
        } else if let By::Word { column, words } = &filter.by {
            conditions.extend(default_word(column, words));
        }
    }
    if let Some(value) = form.get("created") {
        conditions.extend(range("created", "created", value)?);
    }
    hide_clocks(noun, form, &mut conditions);
    Ok(ListParams { conditions, cursor: cursor(form)?, limit: limit(form)? })
}

/// What lives on a test clock is left out unless its clock is named, or something that is on it.
fn hide_clocks(noun: &Noun, form: &Form, conditions: &mut Vec<Condition>) {
    let named = ["test_clock", "customer", "subscription", "invoice"].iter().any(|name| form.get(name).is_some());
    if !named && noun.columns.iter().any(|column| column.name == "test_clock") {
        conditions.push(Condition::Null("test_clock", true));
    }
}

fn check_unknown(noun: &Noun, form: &Form) -> Result<(), Refusal> {
    let Form::Map(members) = form else { return Ok(()) };
    let filters = noun.filters.iter().filter_map(|filter| filter.param.split('[').next());
    let known: Vec<&'static str> =
        ["limit", "starting_after", "ending_before", "created"].into_iter().chain(filters).collect();
    let unknown = members.iter().map(|(name, _)| name).filter(|name| !known.contains(&name.as_str()));
    let unknown: Vec<_> = unknown.map(|name| (name.clone(), meant(name, &known))).collect();
    known_only(&unknown)
}

/// The member that a bracketed name leads to.
fn at<'f>(form: &'f Form, param: &str) -> Option<&'f Form> {
    param.split('[').try_fold(form, |form, part| form.get(part.trim_end_matches(']')))
}

fn condition(noun: &Noun, filter: &Filter, value: &Form) -> Result<Vec<Condition>, Refusal> {
    let param = filter.param;
    Ok(match &filter.by {
        By::Text(column) => {
            let value = text(param, value)?;
            // Currencies and the like are kept in lower case.
            let value = if *column == "currency" { value.to_ascii_lowercase() } else { value };
            // Nothing refers to what nobody sees.
            let is_shown = noun.links.iter().all(|link| match link.to {
                Target::One(target) => link.path != param || target.shows(&value),
                _ => true,
            });
            vec![if is_shown { Condition::Text(column, value) } else { Condition::Word(column, &[]) }]
        }
        By::Folded { column, folded } => {
            let value = text(param, value)?;
            vec![Condition::Text(folded, searchable::fold(&value)), Condition::Text(column, value)]
        }
        By::Boolean(column) => vec![Condition::Boolean(column, boolean(param, value)?)],
        By::Range(column) => range(param, column, value)?,
        By::ItemPeriod { column, member } => {
            vec![Condition::ItemPeriod { column, member, comparisons: comparisons(param, value)? }]
        }
        By::Word { column, words } => word(param, column, words, value)?.into_iter().collect(),
        By::OneOf(column) => vec![Condition::OneOf(column, texts(param, value)?)],
        By::ItemPrice => vec![Condition::ItemPrice(text(param, value)?)],
        By::IsNull(column) => vec![Condition::Null(column, boolean(param, value)?)],
        By::EventType => {
            let value = text(param, value)?;
            match value.strip_suffix('*') {
                Some("") => Vec::new(),
                Some(prefix) => vec![Condition::Type(event_types::beginning_with(prefix))],
                None => vec![Condition::Type(vec![value])],
            }
        }
        By::EventTypes => {
            let mut values = texts(param, value)?;
            if values.len() > 20 {
                return Err(Refusal::invalid("Array items exceeded maximum 20 allowed elements.").param(param));
            }
            values.sort_unstable();
            values.dedup();
            vec![Condition::Type(values)]
        }
        By::DeliverySuccess => vec![Condition::Delivered(boolean(param, value)?)],
        By::NotSupportedYet => return Err(Refusal::not_supported_yet(param)),
    })
}

fn default_word(column: &'static str, words: &[Word]) -> Option<Condition> {
    let (_, meaning) = words.iter().find(|(word, _)| word.is_empty())?;
    meaning.condition(column)
}

fn word(param: &str, column: &'static str, words: &[Word], value: &Form) -> Result<Option<Condition>, Refusal> {
    let value = text(param, value)?;
    let Some((_, meaning)) = words.iter().find(|(word, _)| *word == value) else {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).filter(|word| !word.is_empty()).collect();
        return Err(Refusal::invalid(format!("Invalid {param}: must be one of {}", one_of(&known))).param(param));
    };
    Ok(meaning.condition(column))
}

impl Meaning {
    fn condition(&self, column: &'static str) -> Option<Condition> {
        match self {
            Meaning::Anything => None,
            Meaning::OneOf(values) => Some(Condition::Word(column, values)),
        }
    }
}

fn range(param: &str, column: &'static str, value: &Form) -> Result<Vec<Condition>, Refusal> {
    let compared = comparisons(param, value)?.into_iter();
    Ok(compared.map(|(comparison, number)| Condition::Compare(column, comparison, number)).collect())
}

/// What a number is compared with, and how.
fn comparisons(param: &str, value: &Form) -> Result<Vec<(&'static str, i64)>, Refusal> {
    let Form::Map(members) = value else {
        return Ok(vec![("=", integer(param, value)?)]);
    };
    members
        .iter()
        .map(|(key, value)| {
            let param = format!("{param}[{key}]");
            let comparison = match key.as_str() {
                "gt" => ">",
                "gte" => ">=",
                "lt" => "<",
                "lte" => "<=",
                _ => return Err(Refusal::unknown(param)),
            };
            Ok((comparison, integer(&param, value)?))
        })
        .collect()
}

fn cursor(form: &Form) -> Result<Option<Cursor>, Refusal> {
    let of = |name: &str| form.get(name).map(|value| text(name, value)).transpose();
    match (of("starting_after")?, of("ending_before")?) {
        (None, None) => Ok(None),
        (Some(id), None) => Ok(Some(Cursor::After(id))),
        (None, Some(id)) => Ok(Some(Cursor::Before(id))),
        (Some(_), Some(_)) => {
            Err(Refusal::invalid("Received both starting_after and ending_before parameters. Please pass in only one."))
        }
    }
}

fn limit(form: &Form) -> Result<i64, Refusal> {
    form.get("limit").map(|value| integer("limit", value)).transpose().map(clamp)
}

/// Out of range is clamped, not refused.
pub fn clamp(limit: Option<i64>) -> i64 {
    limit.map_or(DEFAULT_LIMIT, |limit| limit.clamp(1, MAXIMUM_LIMIT))
}

fn text(param: &str, value: &Form) -> Result<String, Refusal> {
    match value {
        Form::Text(text) if text.is_empty() => {
            let message = format!(
                "You passed an empty string for '{param}'. You should remove '{param}' or supply a non-empty value."
            );
            Err(Refusal::invalid(message).code("parameter_invalid_empty").param(param))
        }
        Form::Text(text) => Ok(text.clone()),
        Form::List(_) | Form::Map(_) => Err(Refusal::invalid("Invalid string").param(param)),
    }
}

fn texts(param: &str, value: &Form) -> Result<Vec<String>, Refusal> {
    let Form::List(items) = value else { return Err(Refusal::invalid("Invalid array").param(param)) };
    if items.len() > MAXIMUM_VALUES {
        let message = format!("Array items exceeded maximum {MAXIMUM_VALUES} allowed elements.");
        return Err(Refusal::invalid(message).param(param));
    }
    items.iter().enumerate().map(|(index, item)| text(&format!("{param}[{index}]"), item)).collect()
}

fn boolean(param: &str, value: &Form) -> Result<bool, Refusal> {
    match text(param, value)?.as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(Refusal::invalid(format!("Invalid boolean: {other}")).param(param)),
    }
}

fn integer(param: &str, value: &Form) -> Result<i64, Refusal> {
    let text = text(param, value)?;
    text.parse().map_err(|_| {
        Refusal::invalid(format!("Invalid integer: {text}")).code("parameter_invalid_integer").param(param)
    })
}
