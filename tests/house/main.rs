//! The rules of the house, held by a test: the arrows between the floors, and what belongs nowhere else.
//!
//! The sources are read as text, once: comments are dropped, and code and string literals are looked at
//! apart from each other. Tests at the foot of a file are free of all rules but size.

mod lists;

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// Who may name whom. A floor calls floors below it, never one above or beside it.
const FLOORS: &[(&str, &[&str])] = &[
    ("billing", &[]),
    ("address", &[]),
    ("clock", &["billing"]),
    ("metrics", &[]),
    ("config", &[]),
    ("gateway", &["billing"]),
    ("store", &["billing"]),
    ("engine", &["billing", "clock", "gateway", "metrics", "store"]),
    ("dialect", &["billing", "engine", "store"]),
    ("api", &["address", "billing", "dialect", "engine", "gateway", "store"]),
    ("pages", &["billing", "dialect", "engine", "store"]),
    ("webhooks", &["address", "billing", "dialect", "engine", "store"]),
    ("app", &["api", "billing", "clock", "engine", "gateway", "metrics", "pages", "store", "webhooks"]),
    ("main", &["api", "app", "billing", "clock", "config", "engine", "gateway", "metrics", "store"]),
    ("lib", &[]),
];

/// A file stops here: whoever needs more has two things in it.
const MOST_LINES: usize = 499;

/// Words that code may not contain, where, and what to do instead.
struct Ban {
    word: &'static str,
    /// Where it is allowed nevertheless: beginnings of paths below `src`.
    except: &'static [&'static str],
    /// Only files whose path begins with this are looked at.
    within: &'static str,
    instead: &'static str,
}

const BANS: &[Ban] = &[
    Ban { word: "sqlx", except: &["store/"], within: "", instead: "SQL is written in `store` and nowhere else" },
    Ban { word: "async", except: &[], within: "billing/", instead: "deciding waits for nothing" },
    Ban { word: "await", except: &[], within: "billing/", instead: "deciding waits for nothing" },
    Ban { word: "tokio", except: &[], within: "billing/", instead: "deciding does no I/O" },
    Ban { word: "std::fs", except: &[], within: "billing/", instead: "deciding does no I/O" },
    Ban { word: "std::env", except: &[], within: "billing/", instead: "deciding does no I/O" },
    Ban { word: "std::net", except: &[], within: "billing/", instead: "deciding does no I/O" },
    Ban { word: "Utc::now", except: &[], within: "", instead: "the time is an argument, and `clock.rs` asks for it" },
    Ban { word: "Local::now", except: &[], within: "", instead: "the time is an argument, and `clock.rs` asks for it" },
    Ban {
        word: "SystemTime::now",
        except: &["clock.rs"],
        within: "",
        instead: "the time is an argument, and `clock.rs` asks for it",
    },
    Ban {
        word: "Instant::now",
        except: &["api/", "engine/ticker.rs", "store/postgres/", "webhooks/"],
        within: "",
        instead: "durations are measured at the edge only",
    },
    Ban {
        word: "routing",
        except: &["api/route.rs", "api/health.rs", "api/mod.rs"],
        within: "api/",
        instead: "declare it as a `Route`",
    },
    Ban { word: ".unwrap()", except: &[], within: "", instead: "answer a Fault or a Refusal" },
    Ban { word: ".expect(", except: &[], within: "", instead: "answer a Fault or a Refusal" },
    Ban { word: ".unwrap_err(", except: &[], within: "", instead: "answer a Fault or a Refusal" },
    Ban { word: "panic!", except: &[], within: "", instead: "answer a Fault or a Refusal" },
    Ban { word: "unreachable!", except: &[], within: "", instead: "answer a Fault or a Refusal" },
    Ban { word: "todo!", except: &[], within: "", instead: "finish it" },
    Ban { word: "unimplemented!", except: &[], within: "", instead: "refuse it with `Refusal::not_supported_yet`" },
    Ban { word: "dbg!", except: &[], within: "", instead: "say it with `tracing`" },
    Ban { word: "unsafe", except: &[], within: "", instead: "find the safe way" },
];

/// SQL that asks the database for the time.
const SQL_CLOCKS: &[&str] = &[
    "now()",
    "current_timestamp",
    "current_date",
    "current_time",
    "clock_timestamp",
    "localtimestamp",
    "statement_timestamp",
];

/// A source file: what the rules look at, line for line where it stood.
struct Source {
    /// The path below `src`.
    path: String,
    /// Without comments, string literals and the tests at the foot.
    code: String,
    /// The string literals, with the lines they begin on.
    strings: Vec<(usize, String)>,
    lines: usize,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        let (mut code, mut strings) = split(text);
        if let Some(foot) = code.find("#[cfg(test)]").or_else(|| code.find("#![cfg(test)]")) {
            code.truncate(foot);
        }
        let last = line_at(&code, code.len());
        strings.retain(|(line, _)| *line <= last);
        Source { path: path.to_owned(), code, strings, lines: text.lines().count() }
    }

    /// `src/billing/books.rs` stands on the floor `billing`, `src/app.rs` is one of its own.
    fn floor(&self) -> &str {
        self.path.split_once('/').map_or_else(|| self.path.trim_end_matches(".rs"), |(floor, _)| floor)
    }

    /// How many modules lie between this file's module and the root of the crate.
    fn depth(&self) -> usize {
        let folders = self.path.matches('/').count();
        let is_folder = self.path.ends_with("/mod.rs");
        folders + usize::from(!is_folder)
    }

    /// Every floor that the code names, with the line it does so on.
    fn names(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        // The binary names the library; a chain of `super` as long as the file is deep ends at the root.
        let up = "super::".repeat(self.depth());
        for root in ["crate::", "dunlin::", &up] {
            for place in positions(&self.code, root) {
                if root == up && self.code[..place].ends_with("super::") {
                    continue;
                }
                let line = line_at(&self.code, place);
                let rest = &self.code[place + root.len()..];
                found.extend(first_names(rest).into_iter().map(|name| (line, name)));
            }
        }
        found
    }
}

/// Where a word stands, whole: `panic!` is not in `my_panic!`, nor `crate::` in `xcrate::`.
fn positions(text: &str, word: &str) -> Vec<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let begins = word.starts_with(is_word);
    let ends = word.ends_with(is_word);
    text.match_indices(word)
        .map(|(place, _)| place)
        .filter(|place| !begins || !text[..*place].ends_with(is_word))
        .filter(|place| !ends || !text[place + word.len()..].starts_with(is_word))
        .collect()
}

fn line_at(text: &str, place: usize) -> usize {
    text[..place].matches('\n').count() + 1
}

/// The first names of a path or of a group of paths: `{a::b, c}` begins with `a` and `c`.
fn first_names(rest: &str) -> Vec<String> {
    let name =
        |text: &str| -> String { text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let (mut names, mut depth, mut start) = (Vec::new(), 0, 0);
    for (place, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(name(&group[start..place]));
                start = place + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Code without comments and string literals, which keep their lines, and the literals themselves.
fn split(text: &str) -> (String, Vec<(usize, String)>) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut strings, mut line, mut i) = (String::new(), Vec::new(), 1, 0);
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    while i < chars.len() {
        let end = match (at(i), at(i + 1)) {
            ('/', '/') => (i..chars.len()).find(|end| at(*end) == '\n').unwrap_or(chars.len()),
            ('/', '*') => (i + 2..chars.len())
                .find(|end| at(*end) == '*' && at(end + 1) == '/')
                .map_or(chars.len(), |end| end + 2),
            ('"', _) => string_end(&chars, i, None),
            ('r', '"' | '#') if !at(i.wrapping_sub(1)).is_alphanumeric() => {
                let hashes = chars[i + 1..].iter().take_while(|c| **c == '#').count();
                if at(i + 1 + hashes) == '"' { string_end(&chars, i + 1 + hashes, Some(hashes)) } else { i }
            }
            // A character, not a lifetime.
            ('\'', '\\') => (i + 3..chars.len()).find(|end| at(*end) == '\'').map_or(chars.len(), |end| end + 1),
            ('\'', _) if at(i + 2) == '\'' => i + 3,
            _ => i,
        };
        if end == i {
            code.push(at(i));
            line += usize::from(at(i) == '\n');
            i += 1;
            continue;
        }
        let piece: String = chars[i..end].iter().collect();
        let lines = piece.matches('\n').count();
        if matches!(at(i), '"' | 'r') {
            strings.push((line, piece));
        }
        code.push(' ');
        code.extend(std::iter::repeat_n('\n', lines));
        line += lines;
        i = end;
    }
    (code, strings)
}

/// Behind the closing quote of a literal whose opening quote is at `start`.
fn string_end(chars: &[char], start: usize, hashes: Option<usize>) -> usize {
    let mut i = start + 1;
    while i < chars.len() {
        match (chars[i], hashes) {
            ('\\', None) => i += 1,
            ('"', None) => return i + 1,
            ('"', Some(hashes)) if chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes => {
                return i + 1 + hashes;
            }
            _ => {}
        }
        i += 1;
    }
    chars.len()
}

/// Everything a source breaks, one sentence each. `macros` are names at the root that are no floors.
fn broken_by(source: &Source, macros: &HashSet<String>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut say = |line: usize, what: String| broken.push(format!("src/{}:{line}: {what}", source.path));
    let floor = source.floor();
    match FLOORS.iter().find(|(name, _)| *name == floor) {
        None => say(1, format!("`{floor}` is no floor of the house: give it a place in FLOORS")),
        Some((_, below)) => {
            for (line, name) in source.names() {
                if name != floor && !below.contains(&name.as_str()) && !macros.contains(&name) {
                    say(line, format!("`{floor}` may not name `{name}`"));
                }
            }
        }
    }
    for ban in BANS {
        if source.path.starts_with(ban.within) && !ban.except.iter().any(|path| source.path.starts_with(path)) {
            for place in positions(&source.code, ban.word) {
                say(line_at(&source.code, place), format!("`{}`: {}", ban.word, ban.instead));
            }
        }
    }
    for (line, text) in &source.strings {
        for clock in sql_clocks(text) {
            say(*line, format!("`{clock}` in SQL: the time is a parameter"));
        }
    }
    if source.lines > MOST_LINES {
        say(source.lines, format!("{} lines: {MOST_LINES} are the most", source.lines));
    }
    broken
}

fn sql_clocks(sql: &str) -> Vec<&'static str> {
    let sql = sql.to_lowercase();
    SQL_CLOCKS.iter().copied().filter(|clock| !positions(&sql, clock).is_empty()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder that end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    let folder = root().join("src");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source file");
        let below = path.strip_prefix(&folder).expect("a path below src").to_string_lossy().into_owned();
        Source::new(&below, &text)
    };
    let found: Vec<Source> = files(&folder, ".rs").into_iter().map(read).collect();
    assert!(found.len() > 50, "the sources were not found");
    found
}

/// Names of `macro_rules!`: they are called as if they stood at the root.
fn macros(sources: &[Source]) -> HashSet<String> {
    let rule = "macro_rules! ";
    let names = sources.iter().flat_map(|source| {
        positions(&source.code, rule).into_iter().flat_map(|place| first_names(&source.code[place + rule.len()..]))
    });
    names.collect()
}

#[test]
fn the_sources_keep_the_rules() {
    let sources = sources();
    let macros = macros(&sources);
    let broken: Vec<String> = sources.iter().flat_map(|source| broken_by(source, &macros)).collect();
    assert!(broken.is_empty(), "{} places break a rule of the house:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn migrations_never_ask_the_time() {
    for path in files(&root().join("migrations"), ".sql") {
        let text = fs::read_to_string(&path).expect("a migration");
        let code: String =
            text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
        assert_eq!(sql_clocks(&code), [""; 0], "{}", path.display());
    }
}

#[test]
fn tests_and_benches_stay_short_and_safe() {
    for path in ["tests", "benches"].iter().flat_map(|folder| files(&root().join(folder), ".rs")) {
        let text = fs::read_to_string(&path).expect("a test");
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{}: {lines} lines, {MOST_LINES} are the most", path.display());
        let (code, _) = split(&text);
        assert!(positions(&code, "unsafe").is_empty(), "{}: `unsafe`", path.display());
    }
}

/// Rules that never bite are worth nothing: each is broken here once.
#[test]
fn every_rule_bites() {
    let broken =
        |path: &str, text: &str| broken_by(&Source::new(path, text), &HashSet::from(["words".to_owned()])).len();
    for (path, text) in [
        ("billing/a.rs", "use crate::store::Fault;"),
        ("billing/a.rs", "use super::super::store::Fault;"),
        ("billing/mod.rs", "use super::store::Fault;"),
        ("billing/a.rs", "fn f() { crate::clock::Clock::wall(); }"),
        ("store/a.rs", "use crate::{\n    billing::{a, b},\n    gateway::Gateway,\n};"),
        ("store/a.rs", "use crate::{billing::{a, b}, engine};"),
        ("gateway/a.rs", "use crate::store::Fault;"),
        ("engine/a.rs", "use crate::dialect::speak;"),
        ("dialect/a.rs", "use crate::api::call;"),
        ("api/a.rs", "use crate::webhooks::sign;"),
        ("webhooks/a.rs", "use crate::api::call;"),
        ("clock.rs", "use crate::store::Fault;"),
        ("config.rs", "use super::store::Fault;"),
        ("app.rs", "use crate::cellar::x;"),
        ("attic/a.rs", "use crate::billing::Id;"),
        ("engine/a.rs", "sqlx::query(x);"),
        ("billing/a.rs", "async fn f() {}"),
        ("billing/a.rs", "fn f() { std::fs::read(x); }"),
        ("clock.rs", "let x = Utc::now();"),
        ("engine/a.rs", "let x = SystemTime::now();"),
        ("engine/a.rs", "let x = y.get_or_insert_with(Instant::now);"),
        ("store/a.rs", "let sql = \"update a set b = NOW()\";"),
        ("store/a.rs", "let sql = r#\"select \"x\", current_timestamp\"#;"),
        ("api/a.rs", "let x = y.unwrap();"),
        ("api/a.rs", "let x = y.expect(\"z\");"),
        ("api/a.rs", "panic!();"),
        ("api/a.rs", "use axum::{Router, routing::get};"),
        ("api/a.rs", "let c = '\"'; todo!(); let d = '\"';"),
        ("api/a.rs", "unsafe { x() }"),
    ] {
        assert_eq!(broken(path, text), 1, "{path}: {text}");
    }
    assert_eq!(broken("api/a.rs", &"\n".repeat(MOST_LINES + 1)), 1);
    for (path, text) in [
        ("billing/a.rs", "use crate::billing::Id; use super::books; use crate::words;"),
        ("billing/a.rs", "// use crate::store::Fault; /* panic!() */"),
        ("billing/a.rs", "/* async\n unsafe */ let a = \"panic! unsafe async sqlx\";"),
        ("billing/a.rs", "fn f() {}\n#[cfg(test)]\nmod tests { fn g() { x.unwrap(); } }"),
        ("store/postgres/a.rs", "use super::super::Fault; let t = Instant::now();"),
        ("store/a.rs", "sqlx::query(\"select known() from a where b = $1\");"),
        ("api/a.rs", "let x = y.unwrap_or(1); #[expect(dead_code)] let c = '\\''; let l: &'static str = \"x\";"),
        ("dialect/a.rs", "use crate::{billing::Id, engine::Verb, store::read};"),
        ("api/a.rs", "let q = '\"'; let s = \"panic!\";"),
    ] {
        assert_eq!(broken(path, text), 0, "{path}: {text}");
    }
}
