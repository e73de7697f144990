//! Customers whose due things were refused too often: nothing happens to them by itself until a person has
//! put right what was wrong and lets them go on.

use super::{
    Engine,
    close::{Cause, close},
};
use crate::{
    billing::{
        Books, Id, books::Shelved, customer::Customer, invoice::Invoice, payment_intent::PaymentIntent,
        subscription::Subscription, subscription_schedule::SubscriptionSchedule,
    },
    store::{
        Fault,
        books::{self, Needs, Opening},
        due,
    },
};

impl Engine {
    /// What is due of a customer is due again from now on. False: it was not pushed back.
    pub async fn take_up_again(&self, customer: &Id<Customer>) -> Result<bool, Fault> {
        let mut tx = self.store.begin().await?;
        let opening = Opening { customer: Some(customer.clone()), needs: Needs::default() };
        let mut opened = books::open(&mut tx, &[opening]).await?;
        for books in &mut opened.books {
            keep_due::<Subscription>(books);
            keep_due::<SubscriptionSchedule>(books);
            keep_due::<Invoice>(books);
            keep_due::<PaymentIntent>(books);
        }
        close(&mut tx, opened.books, &opened.endpoints, &Cause::default(), self.clock.now()).await?;
        let was_pushed_back = due::forgive(&mut tx, &[customer.as_str()]).await? > 0;
        tx.commit().await?;
        Ok(was_pushed_back)
    }
}

/// Writes what is due as it is: when it is due follows from what it says.
fn keep_due<R: Shelved>(books: &mut Books) {
    let due: Vec<R> = books.all::<R>().filter(|one| one.due().is_some()).cloned().collect();
    for one in due {
        books.put(one);
    }
}
