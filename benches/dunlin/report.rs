//! Tables of figures.

/// A table in Markdown, aligned for the eye.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(titles: &[&str]) -> Table {
        Table { rows: vec![titles.iter().map(ToString::to_string).collect()] }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub fn print(&self, title: &str) {
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        println!("\n## {title}\n");
        for (place, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> =
                row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column))).collect();
            println!("| {} |", cells.join(" | "));
            if place == 0 {
                let rules: Vec<String> = (0..row.len()).map(|column| "-".repeat(width(column))).collect();
                println!("| {} |", rules.join(" | "));
            }
        }
    }
}

/// A share of a limit, where the limit is known.
pub fn share(value: f64, limit: Option<f64>) -> String {
    limit.map_or_else(|| "n/a".to_owned(), |limit| format!("{:.2}", value / limit))
}

pub fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| "n/a".to_owned(), |value| format!("{value:.0}"))
}
