//! What a decision would come to: decided like any other, on books that are never closed.

use super::{
    Engine, Failure,
    request::{opening_of, time_in},
    verb::Owner,
};
use crate::{
    billing::{Books, Moment, Refusal},
    store::books::{self, Needs},
};

impl Engine {
    /// Decides without writing anything, and answers with what was decided.
    pub async fn preview<T>(
        &self,
        livemode: bool,
        owner: Owner,
        needs: Needs,
        decide: impl FnOnce(&mut Books, &mut Moment) -> Result<T, Refusal>,
    ) -> Result<T, Failure> {
        let wall = self.clock.now();
        let mut tx = self.store.begin().await?;
        let opening = opening_of(&mut tx, owner, needs).await?;
        let opened = books::open(&mut tx, std::slice::from_ref(&opening)).await?;
        tx.commit().await?;
        let mut books = opened.books.into_iter().next().unwrap_or_default();
        books.keep_mode(livemode);
        let mut at = self.moment(time_in(&books, wall)?)?;
        let decided = decide(&mut books, &mut at)?;
        books.soundness()?;
        Ok(decided)
    }
}
