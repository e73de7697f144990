//! The lists that every new file needs a line in: of modules, of the books' shelves, of routes. They are
//! written from what lies in the folders, so that whoever adds a resource adds its four files and runs this.
//!
//! A list stands between `// list: <name>` and `// end of list`. Where it differs from what is there, it is
//! written anew and the test fails once: `cargo test --test house lists`, then go on.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{files, root};

const BEGIN: &str = "// list: ";
const END: &str = "// end of list";

/// A list: its name, the file that it stands in, and what each of its lines is made of.
struct List {
    name: &'static str,
    file: &'static str,
    lines: fn() -> Vec<String>,
}

const LISTS: &[List] = &[
    List { name: "nouns", file: "src/billing/mod.rs", lines: nouns },
    List { name: "shelves", file: "src/billing/books.rs", lines: shelves },
    List { name: "calls", file: "src/api/mod.rs", lines: calls },
    List { name: "routes", file: "src/api/mod.rs", lines: routes },
    List { name: "tests", file: "tests/it/main.rs", lines: tests },
];

/// A noun that books can hold.
struct Noun {
    /// Below `src/billing`, without its ending: `checkout/session`.
    path: String,
    /// `Session`
    type_name: String,
    /// `checkout_sessions`
    table: String,
}

/// The files of `src/billing` that hold a noun.
fn found_nouns() -> Vec<Noun> {
    let noun = |(path, text): (String, String)| {
        let type_name = between(&text, "impl Resource for ", " {")?.to_owned();
        let table = between(&text, "table: \"", "\"")?.to_owned();
        Some(Noun { path, type_name, table })
    };
    below("src/billing").into_iter().filter_map(noun).collect()
}

fn nouns() -> Vec<String> {
    let mut modules: Vec<String> = found_nouns().iter().map(|noun| module(&noun.path)).collect();
    modules.sort();
    modules.dedup();
    declared("pub mod", modules)
}

/// In the order in which the migrations make their tables, which foreign keys accept.
fn shelves() -> Vec<String> {
    let made = tables();
    let mut nouns = found_nouns();
    nouns.sort_by_key(|noun| made.get(&noun.table).copied().unwrap_or(usize::MAX));
    let line = |noun: Noun| format!("{}: super::{}::{},", noun.table, noun.path.replace('/', "::"), noun.type_name);
    nouns.into_iter().map(line).collect()
}

/// Which table is made first, second, and so on.
fn tables() -> BTreeMap<String, usize> {
    let texts: Vec<String> = files(&root().join("migrations"), ".sql").iter().map(|path| read(path)).collect();
    let names = texts.iter().flat_map(|text| text.lines()).filter_map(|line| between(line, "create table ", " "));
    names.enumerate().map(|(place, name)| (name.to_owned(), place)).collect()
}

/// The modules of `src/api` that declare routes.
fn found_calls() -> Vec<String> {
    let declares = |path: &PathBuf| {
        let file = if path.is_dir() { path.join("mod.rs") } else { path.clone() };
        file.exists() && read(&file).contains("pub fn routes() -> Vec<Route>") && !file.ends_with("api/mod.rs")
    };
    names(entries("src/api").into_iter().filter(declares))
}

fn calls() -> Vec<String> {
    declared("pub mod", found_calls())
}

fn routes() -> Vec<String> {
    found_calls().iter().map(|name| format!("{name}::routes(),")).collect()
}

fn tests() -> Vec<String> {
    declared("mod", names(entries("tests/it").into_iter().filter(|path| !path.ends_with("main.rs"))))
}

fn declared(keyword: &str, modules: Vec<String>) -> Vec<String> {
    modules.into_iter().map(|module| format!("{keyword} {module};")).collect()
}

/// The first of the folders in a path, or the path itself: what `src/billing/mod.rs` declares.
fn module(path: &str) -> String {
    path.split('/').next().unwrap_or(path).to_owned()
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}

/// What files and folders are called as modules, in the order of their names.
fn names(paths: impl Iterator<Item = PathBuf>) -> Vec<String> {
    let mut names: Vec<String> =
        paths.filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned())).collect();
    names.sort();
    names
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn entries(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder of the tree");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// Every source below a folder: its path there without the ending, and its text.
fn below(folder: &str) -> Vec<(String, String)> {
    let folder = root().join(folder);
    let source = |path: PathBuf| {
        let below = path.strip_prefix(&folder).expect("a path below its folder").with_extension("");
        (below.to_string_lossy().into_owned(), read(&path))
    };
    files(&folder, ".rs").into_iter().map(source).collect()
}

/// The file with its list written anew.
fn rewritten(text: &str, name: &str, lines: &[String]) -> String {
    let (before, rest) = text.split_once(&format!("{BEGIN}{name}")).unwrap_or_else(|| panic!("no list of {name}"));
    let (head, rest) = rest.split_once('\n').expect("a line under the beginning of a list");
    let (_, after) = rest.split_once(END).expect("an end of the list");
    let indent = before.rsplit('\n').next().unwrap_or_default();
    let lines: String = lines.iter().map(|line| [indent, line, "\n"].concat()).collect();
    format!("{before}{BEGIN}{name}{head}\n{lines}{indent}{END}{after}")
}

#[test]
fn every_list_is_what_is_there() {
    let mut written = Vec::new();
    for list in LISTS {
        let path = root().join(list.file);
        let (text, lines) = (read(&path), (list.lines)());
        assert!(lines.len() > 20, "what the list of {} is made of was not found", list.name);
        let anew = rewritten(&text, list.name, &lines);
        if anew != text {
            fs::write(&path, anew).expect("a file that can be written");
            written.push(format!("the list of {} in {}", list.name, list.file));
        }
    }
    assert!(written.is_empty(), "written anew, run this once more: {}", written.join(", "));
}

/// What no list has is said by hand; a file that nobody declares would be compiled by nobody.
#[test]
fn every_file_is_declared() {
    for folder in ["src/api", "src/billing"] {
        let text = read(&root().join(folder).join("mod.rs"));
        let files = names(entries(folder).into_iter().filter(|path| !path.ends_with("mod.rs")));
        let forgotten: Vec<String> = files
            .into_iter()
            .filter(|name| !text.lines().any(|line| line.ends_with(&format!("mod {name};"))))
            .collect();
        assert_eq!(forgotten, [""; 0], "{folder}/mod.rs declares all that lies in its folder");
    }
}

#[test]
fn a_list_is_written_between_its_ends() {
    let text = "a\n    // list: x, of all\n    old,\n    // end of list\nb\n";
    let new = ["one,".to_owned(), "two,".to_owned()];
    let anew = "a\n    // list: x, of all\n    one,\n    two,\n    // end of list\nb\n";
    assert_eq!(rewritten(text, "x", &new), anew);
    assert_eq!(rewritten(anew, "x", &new), anew);
}
