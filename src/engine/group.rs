//! Group commit, of decisions: callers who write at the same time write together, in one transaction.
//!
//! To start a statement costs Postgres several times what the rows of one more caller cost it. So while some
//! are being written, whoever comes waits for them to end, and those who have gathered until then go together:
//! one statement locks their customers, one reads, one writes. With nobody else about, a caller is a group of
//! one, and waits for nobody.
//!
//! A group is for what goes smoothly. It waits for no customer whom somebody else has locked, and not long for
//! anything else. Whatever becomes of a member, or of the whole group, is left to the member, who then goes
//! alone; and so is who has asked the same before, whose change may clash with another's, and who has waited for
//! too long. So nothing that one caller asks for spoils or stops what another asked for.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot, time::timeout};

use super::{
    Engine, Failure,
    draft::{self, Draft, Step, key_of},
    request::{Request, ended},
};
use crate::{
    billing::{Books, Timestamp, webhook_endpoint::WebhookEndpoint},
    store::{
        Fault, Tx,
        books::{self, Opened, Opening},
        idempotency::Key,
    },
};

/// How many groups are under way at a time.
const GROUPS: usize = 2;
/// How many go together at most.
const MEMBERS: usize = 32;
/// How long somebody waits for others to be written.
const PATIENCE: Duration = Duration::from_millis(500);

/// What one caller does with the books that were opened for it.
pub type Decide = Box<dyn FnOnce(&Engine, Books, &[WebhookEndpoint], Timestamp) -> Result<Draft, Failure> + Send>;

/// Why somebody was not served together with others.
pub enum Left {
    /// Nothing has happened.
    Alone,
    /// It was refused, or the commit was lost.
    Failed(Failure),
}

/// Who hears nothing at all goes alone.
type Teller = oneshot::Sender<Result<Step, Left>>;

struct Member {
    opening: Opening,
    /// Who asks, if the receipt of the same key is to be looked for.
    request: Option<Request>,
    decide: Decide,
    teller: Teller,
}

impl Member {
    fn key(&self) -> Option<Key<'_>> {
        self.request.as_ref().and_then(key_of)
    }
}

/// Who waits for others to be written.
#[derive(Default)]
pub struct Gathering(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Each with its ticket.
    members: VecDeque<(u64, Member)>,
    tickets: u64,
    groups: usize,
}

impl Gathering {
    /// Joins those who wait, with a ticket; whoever need not wait gets itself back, and is a group.
    fn join(&self, member: Member) -> Result<u64, Member> {
        let mut waiting = self.waiting();
        if waiting.groups < GROUPS {
            waiting.groups += 1;
            return Err(member);
        }
        waiting.tickets += 1;
        let ticket = waiting.tickets;
        waiting.members.push_back((ticket, member));
        Ok(ticket)
    }

    /// Those who go next: of each customer one, and only such as write by one statement, or only others. Who has
    /// hung up does not go.
    fn next(&self) -> Vec<Member> {
        let mut waiting = self.waiting();
        let (mut members, mut others) = (Vec::<Member>::new(), VecDeque::new());
        let mut customers = HashSet::new();
        for (ticket, member) in waiting.members.drain(..).filter(|(_, member)| !member.teller.is_closed()) {
            let is_alike = |other: &Member| other.opening.is_about_nothing() == member.opening.is_about_nothing();
            let goes = members.len() < MEMBERS
                && members.first().is_none_or(is_alike)
                && member.opening.customer.as_ref().is_none_or(|customer| customers.insert(customer.clone()));
            if goes {
                members.push(member);
            } else {
                others.push_back((ticket, member));
            }
        }
        waiting.members = others;
        members
    }

    /// Waits no longer. False: it has set off with a group.
    fn withdraw(&self, ticket: u64) -> bool {
        let members = &mut self.waiting().members;
        let before = members.len();
        members.retain(|(other, _)| *other != ticket);
        members.len() < before
    }

    /// A group has ended. Whether another is to follow it.
    fn end(&self) -> bool {
        let mut waiting = self.waiting();
        let is_followed = !waiting.members.is_empty();
        waiting.groups -= usize::from(!is_followed);
        is_followed
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A group that is under way. However it ends, those who wait go next.
struct UnderWay<'e>(&'e Engine);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        // Without a runtime there is nobody to wait.
        if self.0.gathering.end()
            && let Ok(runtime) = Handle::try_current()
        {
            let engine = self.0.clone();
            runtime.spawn(async move {
                let _under_way = UnderWay(&engine);
                go(&engine, engine.gathering.next()).await;
            });
        }
    }
}

impl Engine {
    /// Decides and writes together with whoever else is about.
    pub(super) async fn together(
        &self,
        opening: Opening,
        request: Option<Request>,
        decide: Decide,
    ) -> Result<Step, Left> {
        let (teller, mut hears) = oneshot::channel();
        match self.gathering.join(Member { opening, request, decide, teller }) {
            Err(alone) => {
                let _under_way = UnderWay(self);
                go(self, vec![alone]).await;
            }
            Ok(ticket) => {
                if let Ok(heard) = timeout(PATIENCE, &mut hears).await {
                    return heard.unwrap_or(Err(Left::Alone));
                }
                if self.gathering.withdraw(ticket) {
                    return Err(Left::Alone);
                }
            }
        }
        hears.await.unwrap_or(Err(Left::Alone))
    }
}

async fn go(engine: &Engine, members: Vec<Member>) {
    let count = members.len();
    if count == 0 {
        return;
    }
    let mut tellers = Vec::with_capacity(count);
    // Who has gone meanwhile need not be told.
    match write(engine, members, &mut tellers).await {
        Ok(steps) => {
            for (teller, step) in tellers.into_iter().zip(steps) {
                let _ = teller.send(Ok(step));
            }
        }
        Err(failure) => {
            tracing::debug!(%failure, count, "a group failed");
            engine.metrics.groups_failed.inc_by(u64::from(count > 1));
            let Failure::Broken(fault) = failure else { return };
            for teller in tellers {
                let left = fault.for_another().map_or(Left::Alone, |fault| Left::Failed(fault.into()));
                let _ = teller.send(Err(left));
            }
        }
    }
}

/// Writes what members decide. Those who are to be told what it came to are left in `tellers`.
async fn write(engine: &Engine, members: Vec<Member>, tellers: &mut Vec<Teller>) -> Result<Vec<Step>, Failure> {
    let mut tx = engine.store.begin_later().await?;
    let written = write_in(engine, &mut tx, members, tellers).await;
    let (steps, deliveries) = ended(tx, written).await?;
    engine.tell(deliveries);
    Ok(steps)
}

async fn write_in(
    engine: &Engine,
    tx: &mut Tx,
    members: Vec<Member>,
    tellers: &mut Vec<Teller>,
) -> Result<(Vec<Step>, usize), Failure> {
    let is_shared = members.len() > 1;
    let (opened, members) = open(engine, tx, members).await?;
    let wall = engine.clock.now();
    let (mut drafts, mut changed) = (Vec::with_capacity(members.len()), HashSet::new());
    for (books, member) in opened.books.into_iter().zip(members) {
        match (member.decide)(engine, books, &opened.endpoints, wall) {
            Ok(draft) => {
                if !is_shared || draft.closing.is_apart(&mut changed) && !draft.closing.may_clash() {
                    drafts.push(draft);
                    tellers.push(member.teller);
                }
            }
            // By memory nothing is refused: it may have changed, and the same may have been asked before.
            Err(refused @ Failure::Refused(_)) if opened.seal.is_none() => {
                let _ = member.teller.send(Err(Left::Failed(refused)));
            }
            Err(_) => {}
        }
    }
    if drafts.is_empty() {
        return Ok((Vec::new(), 0));
    }
    engine.metrics.written_together.observe(f64::from(u32::try_from(drafts.len()).unwrap_or(u32::MAX)));
    let written = draft::write(tx, &mut drafts, opened.seal).await?;
    let mut steps = Vec::with_capacity(drafts.len());
    for draft in drafts {
        steps.push(draft.say(tx, &written.closed).await?);
    }
    Ok((steps, written.deliveries()))
}

/// Opens the books of those who need wait for nobody and have not asked the same before. About nothing that exists
/// there is nothing to read; but one key that was used before would make the writing fail for all.
async fn open(engine: &Engine, tx: &mut Tx, members: Vec<Member>) -> Result<(Opened, Vec<Member>), Fault> {
    let is_about_nothing = members.iter().all(|member| member.opening.is_about_nothing());
    let keys: Vec<Key<'_>> = members.iter().filter_map(Member::key).collect();
    if is_about_nothing
        && (members.len() == 1 || keys.is_empty())
        && let Some(listening) = engine.remembered()
    {
        return Ok((listening.opened(members.len()), members));
    }
    // A twin of which nobody knows yet whether it commits is waited for, too.
    if !is_about_nothing || members.len() > 1 && !keys.is_empty() {
        tx.begin_impatiently().await?;
    }
    let openings: Vec<&Opening> = members.iter().map(|member| &member.opening).collect();
    let (opened, free) = books::open_free(tx, &openings, &keys).await?;
    engine.remember(&opened);
    let mut asked = HashSet::new();
    let mut is_new = |member: &Member| {
        member.key().is_none_or(|key| {
            let is_known = opened.receipts.iter().any(|receipt| receipt.is_about(key));
            !is_known && asked.insert((key.livemode, key.text.to_owned()))
        })
    };
    let free = members.into_iter().zip(free).filter_map(|(member, free)| free.then_some(member));
    let (books, members) = opened.books.into_iter().zip(free).filter(|(_, member)| is_new(member)).unzip();
    Ok((Opened { books, ..opened }, members))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::{Id, Refusal};

    type Hears = oneshot::Receiver<Result<Step, Left>>;

    fn member(customer: Option<&str>) -> (Member, Hears) {
        let (teller, hears) = oneshot::channel();
        let opening = Opening { customer: customer.map(Id::given), ..Opening::default() };
        let decide: Decide = Box::new(|_, _, _, _| Err(Refusal::internal("nobody decides").into()));
        (Member { opening, request: None, decide, teller }, hears)
    }

    /// As many groups under way as may be, and these waiting, by their tickets.
    fn waiting(customers: &[Option<&str>]) -> (Gathering, Vec<(u64, Hears)>) {
        let gathering = Gathering::default();
        for _ in 0..GROUPS {
            assert!(gathering.join(member(None).0).is_err());
        }
        let joined = customers.iter().map(|customer| {
            let (member, hears) = member(*customer);
            (gathering.join(member).ok().expect("it waits"), hears)
        });
        let joined = joined.collect();
        (gathering, joined)
    }

    fn customers(members: &[Member]) -> Vec<Option<&str>> {
        members.iter().map(|member| member.opening.customer.as_ref().map(Id::as_str)).collect()
    }

    #[test]
    fn of_each_customer_one_goes() {
        let asked = [Some("cus_1"), None, Some("cus_2"), Some("cus_1"), None, Some("cus_1")];
        let (gathering, _hears) = waiting(&asked);
        assert_eq!(customers(&gathering.next()), [Some("cus_1"), Some("cus_2")]);
        assert_eq!(customers(&gathering.next()), [None, None], "each kind by itself");
        assert_eq!(customers(&gathering.next()), [Some("cus_1")]);
        assert_eq!(customers(&gathering.next()), [Some("cus_1")]);
        assert!(gathering.next().is_empty());
    }

    #[test]
    fn a_group_has_an_end() {
        let (gathering, _hears) = waiting(&[None; MEMBERS + 1]);
        assert_eq!((gathering.next().len(), gathering.next().len()), (MEMBERS, 1));
    }

    #[test]
    fn who_hangs_up_or_withdraws_does_not_go() {
        let (gathering, mut joined) = waiting(&[Some("cus_1"), Some("cus_2"), Some("cus_3")]);
        drop(joined.remove(0));
        let (ticket, _hears) = joined.remove(0);
        assert!(gathering.withdraw(ticket));
        assert_eq!(customers(&gathering.next()), [Some("cus_3")]);
        assert!(!gathering.withdraw(joined.remove(0).0), "it has set off");
    }

    #[test]
    fn a_group_follows_where_somebody_waits() {
        let (gathering, _hears) = waiting(&[None]);
        assert!(gathering.end(), "somebody waits");
        assert_eq!(gathering.next().len(), 1);
        assert!(!gathering.end(), "nobody does");
        assert!(gathering.join(member(None).0).is_err(), "who comes need not wait");
        assert!(gathering.join(member(None).0).is_ok());
    }
}
