//! What a restricted key may do: for each resource nothing, read, or write, which includes reading.

use std::{collections::BTreeMap, fmt};

/// What can be done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    Read,
    Write,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Permission::Read => "read",
            Permission::Write => "write",
        })
    }
}

/// What is allowed, by resource. What is not named is not allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(BTreeMap<String, Permission>);

impl Permissions {
    /// Reads `customers=read,invoices=write`, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Permissions, String> {
        let mut found = BTreeMap::new();
        for one in text.split(',').filter(|one| !one.is_empty()) {
            let (resource, permission) =
                one.split_once('=').ok_or_else(|| format!("{one}: write it as resource=read"))?;
            let permission = match permission {
                "none" => continue,
                "read" => Permission::Read,
                "write" => Permission::Write,
                other => return Err(format!("{resource}={other}: it is none, read or write")),
            };
            found.insert(resource.to_owned(), permission);
        }
        Ok(Permissions(found))
    }

    pub fn allow(&self, resource: &str, permission: Permission) -> bool {
        self.0.get(resource).is_some_and(|allowed| *allowed >= permission)
    }

    /// The resources that are named.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(|(resource, permission)| format!("{resource}={permission}")).collect();
        f.write_str(&all.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_includes_reading_and_what_is_not_named_is_not_allowed() {
        let permissions = Permissions::parse("customers=read,invoices=write,prices=none").unwrap();
        for (resource, read, write) in
            [("customers", true, false), ("invoices", true, true), ("prices", false, false), ("products", false, false)]
        {
            assert_eq!(permissions.allow(resource, Permission::Read), read, "{resource}");
            assert_eq!(permissions.allow(resource, Permission::Write), write, "{resource}");
        }
        assert_eq!(permissions.to_string(), "customers=read,invoices=write");
        assert!(Permissions::parse("customers").is_err());
        assert!(Permissions::parse("customers=all").is_err());
        assert_eq!(Permissions::parse(""), Ok(Permissions::default()));
    }
}
