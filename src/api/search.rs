//! `/v1/…/search`: the same for every noun that can be searched.

use serde_json::{Value, json};

use super::{call::Call, reply::Reply};
use crate::{
    billing::Noun,
    dialect::{expand, search, speak},
    store::search as found,
};

/// What can be asked for with `expand[]` beside what documents link to.
const TOTAL_COUNT: &str = "total_count";

impl Call {
    /// Answers with a page of what a search finds.
    pub async fn search(&self, noun: &'static Noun) -> Reply {
        let (counts, paths): (Vec<String>, _) = self.expand.iter().cloned().partition(|path| path == TOTAL_COUNT);
        let paths = self.expansions_of(noun, &paths, true)?;
        let (search, pages) = search::read(noun, &self.form, self.livemode())?;
        let mut reader = self.house.engine.store.reader().await?;
        let found::Found { documents, has_more } = found::search(&mut reader, &search).await?;
        let next_page = documents.last().filter(|_| has_more).map(|(last, _)| pages.token(last));
        let bodies: Vec<String> = documents.into_iter().map(|(_, body)| body).collect();
        let mut data = speak::speak(&mut reader, noun, &bodies, self.pin()).await?;
        expand::expand(&mut reader, noun, &mut data, &bodies, &paths, self.pin()).await?;
        let mut result = json!({"object": "search_result", "data": data, "has_more": has_more, "next_page": next_page});
        if !counts.is_empty() {
            // All pages of a search have the same count.
            let whole = found::Search { after: None, ..search };
            result[TOTAL_COUNT] = Value::from(found::count(&mut reader, &whole).await?);
        }
        result["url"] = Value::from(self.path.as_str());
        self.say(&result)
    }
}
