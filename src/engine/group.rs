//! Group commit, of decisions: callers who write at the same time write together, in one transaction.
//!
//! To start a statement costs Postgres several times what the rows of one more caller cost it. So while some
//! are being written, whoever comes waits for them to end, and those who have gathered until then go together:
//! one statement locks their customers, one reads, one writes. With nobody else about, a caller is a group of
//! one, and waits for nobody.
//!
//! A group is for what goes smoothly. It waits for no lock of a customer and refuses nobody: whatever else
//! becomes of a member, or of the whole group, is left to the member, who then goes alone; and so does whoever
//! has waited for too long. So nothing that one caller asks for spoils or stops what another asked for.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot, time::timeout};

use super::{
    Engine,
    close::Closing,
    draft::{Draft, Step},
};
use crate::{
    billing::{Books, Timestamp, webhook_endpoint::WebhookEndpoint},
    store::{
        Fault, Tx,
        books::{self, Opened, Opening},
        idempotency::Entry,
    },
};

/// How many groups are under way at a time.
const GROUPS: usize = 2;
/// How many go together at most.
const MEMBERS: usize = 32;

/// How long somebody waits for others to be written.
const PATIENCE: Duration = Duration::from_millis(500);

/// What one caller does with the books that were opened for it. `None`: it goes alone.
pub type Decide = Box<dyn FnOnce(&Engine, Books, &[WebhookEndpoint], Timestamp) -> Option<Draft<Step>> + Send>;

/// Why somebody was not served together with others.
pub enum Left {
    /// Nothing has happened.
    Alone,
    /// The commit was lost.
    Uncertain(Fault),
}

type Teller = oneshot::Sender<Result<Step, Left>>;

struct Member {
    opening: Opening,
    decide: Decide,
    teller: Teller,
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

    /// Those who go next: of each customer one. Who has hung up does not go.
    fn next(&self) -> Vec<Member> {
        let mut waiting = self.waiting();
        let (mut members, mut others) = (Vec::new(), VecDeque::new());
        let mut customers = HashSet::new();
        for (ticket, member) in waiting.members.drain(..).filter(|(_, member)| !member.teller.is_closed()) {
            let is_first = member.opening.customer.as_ref().is_none_or(|customer| customers.insert(customer.clone()));
            if is_first && members.len() < MEMBERS {
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
    pub(super) async fn together(&self, opening: Opening, decide: Decide) -> Result<Step, Left> {
        let (teller, mut hears) = oneshot::channel();
        match self.gathering.join(Member { opening, decide, teller }) {
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
    let mut drafts = Vec::with_capacity(members.len());
    let written = write(engine, members, &mut drafts).await;
    if written.is_ok() && !drafts.is_empty() {
        engine.metrics.written_together.observe(f64::from(u32::try_from(drafts.len()).unwrap_or(u32::MAX)));
    }
    for (draft, teller) in drafts {
        let outcome = match &written {
            Ok(()) => Ok(draft.said),
            Err(fault) => Err(fault.for_another().map_or(Left::Alone, Left::Uncertain)),
        };
        // Who has gone meanwhile need not be told.
        let _ = teller.send(outcome);
    }
}

/// What members have decided, each with whom to tell.
type Drafts = Vec<(Draft<Step>, Teller)>;

async fn write(engine: &Engine, members: Vec<Member>, drafts: &mut Drafts) -> Result<(), Fault> {
    let listening = engine.remembered();
    let is_about_nothing = members.iter().all(|member| member.opening.is_about_nothing());
    if is_about_nothing && listening.is_none() {
        return Ok(());
    }
    let mut tx = engine.store.begin_later().await?;
    let written = match listening.filter(|_| is_about_nothing) {
        Some(listening) => write_in(engine, &mut tx, listening.opened(members.len()), members, drafts).await,
        None => open_and_write_in(engine, &mut tx, members, drafts).await,
    };
    match written {
        Ok(deliveries) => {
            tx.commit().await?;
            engine.tell(deliveries);
            Ok(())
        }
        Err(fault) => {
            // Where even that fails the connection is closed, which comes to the same.
            let _ = tx.roll_back().await;
            Err(fault)
        }
    }
}

async fn open_and_write_in(
    engine: &Engine,
    tx: &mut Tx,
    members: Vec<Member>,
    drafts: &mut Drafts,
) -> Result<usize, Fault> {
    tx.begin().await?;
    let openings: Vec<&Opening> = members.iter().map(|member| &member.opening).collect();
    let (opened, free) = books::open_free(tx, &openings).await?;
    let members = members.into_iter().zip(free).filter_map(|(member, free)| free.then_some(member)).collect();
    write_in(engine, tx, opened, members, drafts).await
}

/// Answers with how many deliveries were written.
async fn write_in(
    engine: &Engine,
    tx: &mut Tx,
    opened: Opened,
    members: Vec<Member>,
    drafts: &mut Drafts,
) -> Result<usize, Fault> {
    let wall = engine.clock.now();
    let mut together = Closing::default();
    for (books, member) in opened.books.into_iter().zip(members) {
        let Some(mut draft) = (member.decide)(engine, books, &opened.endpoints, wall) else { continue };
        together.append(std::mem::take(&mut draft.closing));
        drafts.push((draft, member.teller));
    }
    let receipts: Vec<Entry<'_>> = drafts.iter().filter_map(|(draft, _)| draft.receipt()).collect();
    let together = together.sealed(opened.seal);
    together.write(tx, &receipts).await?;
    Ok(together.deliveries())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::Id;

    type Hears = oneshot::Receiver<Result<Step, Left>>;

    fn member(customer: Option<&str>) -> (Member, Hears) {
        let (teller, hears) = oneshot::channel();
        let opening = Opening { customer: customer.map(Id::given), ..Opening::default() };
        (Member { opening, decide: Box::new(|_, _, _, _| None), teller }, hears)
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
        assert_eq!(customers(&gathering.next()), [Some("cus_1"), None, Some("cus_2"), None]);
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
