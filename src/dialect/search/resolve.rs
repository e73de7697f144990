//! What a clause means for a noun: which fields there are, and what may be asked of each.

use super::{
    SHORTEST_PART, invalid,
    query::{Clause, Field, Operator, Value},
};
use crate::{
    billing::{
        Noun, Refusal,
        searchable::{self, Asked, Searchable, Stand, fold},
    },
    store::search::{Column, Condition, Test},
};

/// What the documents of the noun must fulfil.
pub fn condition(noun: &Noun, clause: &Clause) -> Result<Condition, Refusal> {
    let (name, key) = match &clause.field {
        Field::Named(name) => (name.as_str(), None),
        Field::Metadata(key) => ("metadata", Some(key)),
    };
    let field = searchable::find(noun.searchable, name).ok_or_else(|| unknown(noun, name))?;
    check(field, clause)?;
    if clause.value == Value::Null {
        return Ok(absent(field, key, clause.negated));
    }
    let (Value::Bare(value) | Value::Quoted(value)) = &clause.value else {
        return Err(invalid(format!("The field `{name}` cannot be compared with that.")));
    };
    if clause.operator == Operator::Contains && value.chars().count() < SHORTEST_PART {
        let message =
            format!("The part to look for in `{name}` must have at least {SHORTEST_PART} characters: '{value}'");
        return Err(invalid(message));
    }
    let test = test(field, key, clause.operator, value)?;
    // The opposite of a comparison is another: it can use what the first could.
    Ok(match (test, clause.negated) {
        (Test::Compare("created", sign, number), true) if sign != "=" => {
            Condition { negated: false, test: Test::Compare("created", opposite(sign), number) }
        }
        (test, negated) => Condition { negated, test },
    })
}

fn unknown(noun: &Noun, name: &str) -> Refusal {
    let resource = noun.url.rsplit('/').next().unwrap_or(noun.object);
    let known: Vec<&str> = noun.searchable.iter().map(|searchable| searchable.field).collect();
    invalid(format!("The field `{name}` cannot be searched in {resource}. Fields are: {}.", known.join(", ")))
}

/// Whether the operator is one of the field's.
fn check(field: &Searchable, clause: &Clause) -> Result<(), Refusal> {
    let allowed = match clause.operator {
        Operator::Is => true,
        Operator::Contains => field.asked == Asked::String,
        Operator::Above | Operator::AtLeast | Operator::Below | Operator::AtMost => field.asked == Asked::Number,
    };
    let sign = clause.operator.sign();
    if !allowed {
        return Err(invalid(format!("The operator `{sign}` cannot be used with the field `{}`.", field.field)));
    }
    if clause.value == Value::Null && clause.operator != Operator::Is {
        return Err(invalid(format!("The operator `{sign}` cannot be used with null.")));
    }
    Ok(())
}

fn absent(field: &Searchable, key: Option<&String>, negated: bool) -> Condition {
    let test = match field.stand {
        Stand::Folded(name) => Test::Null(Column { name, lowered: false, indexed: true }),
        Stand::Text(name) | Stand::Word(name) | Stand::Id(name) | Stand::Number(name) | Stand::Boolean(name) => {
            Test::Null(Column { name, lowered: false, indexed: false })
        }
        // To lack the key is the opposite of having it.
        Stand::Metadata => return Condition { negated: !negated, test: Test::Key(key.cloned().unwrap_or_default()) },
        Stand::Nothing => return Condition { negated: !negated, test: Test::Never },
    };
    Condition { negated, test }
}

fn test(field: &Searchable, key: Option<&String>, operator: Operator, value: &str) -> Result<Test, Refusal> {
    let of_text = |name: &'static str, lowered: bool, indexed: bool, value: String| {
        let column = Column { name, lowered, indexed };
        if operator == Operator::Contains { Test::Contains(column, value) } else { Test::Equal(column, value) }
    };
    Ok(match field.stand {
        Stand::Folded(name) => of_text(name, false, true, fold(value)),
        Stand::Text(name) => of_text(name, true, false, fold(value)),
        Stand::Word(name) => of_text(name, false, false, fold(value)),
        Stand::Id(name) => of_text(name, false, operator == Operator::Is, value.to_owned()),
        Stand::Number(name) => {
            let number = value.parse().map_err(|_| {
                invalid(format!("The field `{}` is compared with whole numbers, not with '{value}'.", field.field))
            })?;
            Test::Compare(name, comparison(operator), number)
        }
        Stand::Boolean(name) => match value {
            "true" => Test::Boolean(name, true),
            "false" => Test::Boolean(name, false),
            _ => return Err(invalid(format!("The field `{}` is true or false, not '{value}'.", field.field))),
        },
        Stand::Metadata => Test::Pair(key.cloned().unwrap_or_default(), fold(value)),
        Stand::Nothing => Test::Never,
    })
}

const fn comparison(operator: Operator) -> &'static str {
    match operator {
        Operator::Is | Operator::Contains => "=",
        Operator::Above => ">",
        Operator::AtLeast => ">=",
        Operator::Below => "<",
        Operator::AtMost => "<=",
    }
}

fn opposite(sign: &str) -> &'static str {
    match sign {
        ">" => "<=",
        ">=" => "<",
        "<" => ">=",
        _ => ">",
    }
}

#[cfg(test)]
mod tests {
    use super::{super::query::Query, *};
    use crate::billing::{charge, customer, invoice, payment_intent, price, product, subscription};

    const NOUNS: [&Noun; 7] = [
        &charge::NOUN,
        &customer::NOUN,
        &invoice::NOUN,
        &payment_intent::NOUN,
        &price::NOUN,
        &product::NOUN,
        &subscription::NOUN,
    ];

    fn resolve(noun: &Noun, text: &str) -> Result<Condition, Refusal> {
        condition(noun, &Query::parse(text).expect(text).clauses[0])
    }

    /// Numbers are equal, greater or less; strings are equal or contain; tokens are equal. Any may be absent.
    #[test]
    fn fields_take_the_operators_of_their_type() {
        for noun in NOUNS {
            for Searchable { field, asked, stand } in noun.searchable {
                let value = match (asked, stand) {
                    (Asked::Number, _) | (_, Stand::Number(_)) => "123",
                    (_, Stand::Boolean(_)) => "true",
                    _ => "\"some text\"",
                };
                let name = if *stand == Stand::Metadata { "metadata[\"key\"]" } else { field };
                for (sign, allowed) in [
                    (":", true),
                    ("~", *asked == Asked::String),
                    (">", *asked == Asked::Number),
                    (">=", *asked == Asked::Number),
                    ("<", *asked == Asked::Number),
                    ("<=", *asked == Asked::Number),
                ] {
                    let text = format!("{name}{sign}{value}");
                    let resolved = resolve(noun, &text);
                    assert_eq!(resolved.is_ok(), allowed, "{}: {text}", noun.object);
                    assert_eq!(resolved.err().and_then(|refusal| refusal.param).is_some(), !allowed);
                    assert_eq!(resolve(noun, &format!("-{name}{sign}null")).is_ok(), sign == ":");
                }
            }
        }
    }

    /// Every column that a field stands on is one of its noun's.
    #[test]
    fn fields_stand_on_columns() {
        for noun in NOUNS {
            for searchable in noun.searchable {
                let (Stand::Folded(name)
                | Stand::Text(name)
                | Stand::Word(name)
                | Stand::Id(name)
                | Stand::Number(name)
                | Stand::Boolean(name)) = searchable.stand
                else {
                    continue;
                };
                let known = name == "created" || noun.columns.iter().any(|column| column.name == name);
                assert!(known, "{}: {}", noun.object, searchable.field);
            }
            assert!(noun.columns.iter().any(|column| column.name == "metadata"), "{}", noun.object);
        }
    }

    #[test]
    fn clauses_become_conditions() {
        let column = |name, lowered, indexed| Column { name, lowered, indexed };
        for (noun, text, negated, test) in [
            (
                &customer::NOUN,
                "email:\"ADA@x\"",
                false,
                Test::Equal(column("email_folded", false, true), "ada@x".into()),
            ),
            (&customer::NOUN, "-name~\"ÉMI\"", true, Test::Contains(column("name_folded", false, true), "émi".into())),
            (&customer::NOUN, "phone:null", false, Test::Null(column("phone_folded", false, true))),
            (&customer::NOUN, "metadata[\"Key\"]:\"Value\"", false, Test::Pair("Key".into(), "value".into())),
            (&customer::NOUN, "metadata[\"key\"]:null", true, Test::Key("key".into())),
            (&customer::NOUN, "-metadata[\"key\"]:null", false, Test::Key("key".into())),
            (&customer::NOUN, "-created>5", false, Test::Compare("created", "<=", 5)),
            (&customer::NOUN, "-created:5", true, Test::Compare("created", "=", 5)),
            (&invoice::NOUN, "total>=-5", false, Test::Compare("total", ">=", -5)),
            (&invoice::NOUN, "customer:\"cus_A\"", false, Test::Equal(column("customer", false, true), "cus_A".into())),
            (&invoice::NOUN, "number:\"A-1\"", false, Test::Equal(column("number", true, false), "a-1".into())),
            (&invoice::NOUN, "receipt_number:null", true, Test::Never),
            (&product::NOUN, "active:\"true\"", false, Test::Boolean("active", true)),
            (&price::NOUN, "currency:\"USD\"", false, Test::Equal(column("currency", false, false), "usd".into())),
            (
                &charge::NOUN,
                "payment_method_details.card.last4:0042",
                false,
                Test::Equal(column("card_last4", true, false), "0042".into()),
            ),
        ] {
            assert_eq!(resolve(noun, text).expect(text), Condition { negated, test }, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for (noun, text, message) in [
            (&customer::NOUN, "status:\"x\"", "The field `status` cannot be searched in customers."),
            (&product::NOUN, "created>1", "The field `created` cannot be searched in products."),
            (&customer::NOUN, "emails:\"x\"", "The field `emails`"),
            (&customer::NOUN, "email~\"ab\"", "The part to look for in `email` must have at least 3 characters: 'ab'"),
            (&customer::NOUN, "email>\"ab\"", "The operator `>` cannot be used with the field `email`."),
            (&customer::NOUN, "created~\"123\"", "The operator `~` cannot be used with the field `created`."),
            (&customer::NOUN, "metadata[\"a\"]~\"abc\"", "The operator `~` cannot be used with the field `metadata`."),
            (&customer::NOUN, "created>null", "The operator `>` cannot be used with null."),
            (&customer::NOUN, "created>\"soon\"", "The field `created` is compared with whole numbers"),
            (&customer::NOUN, "created>1.5", "The field `created` is compared with whole numbers"),
            (&customer::NOUN, "created>99999999999999999999", "The field `created` is compared with whole numbers"),
            (&product::NOUN, "active:\"yes\"", "The field `active` is true or false, not 'yes'."),
        ] {
            let refusal = resolve(noun, text).expect_err(text);
            assert_eq!(refusal.param.as_deref(), Some("query"), "{text}");
            assert!(refusal.message.starts_with(message), "{text}: {}", refusal.message);
        }
    }
}
