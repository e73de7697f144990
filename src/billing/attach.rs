//! Payment methods: made, attached to a customer, detached for good.

use super::{
    Books, Id, Metadata, Moment, Refusal,
    id::Bucket,
    invoice::Invoice,
    payment_method::{AllowRedisplay, BillingDetails, Card, Internal, Kind, PaymentMethod, Tag},
    shape::Null,
    subscription::Subscription,
    token::{self, Token},
};

/// A card that the gateway has taken in.
#[derive(Clone, Debug)]
pub struct NewMethod {
    pub allow_redisplay: AllowRedisplay,
    /// Its issuer wants the customer to authenticate before it is kept for later.
    pub authenticates: bool,
    pub billing_details: BillingDetails,
    pub card: Card,
    pub livemode: bool,
    /// Its issuer lets the customer authenticate where a seller wants that.
    pub may_authenticate: bool,
    pub metadata: Metadata,
    pub token: String,
    /// The token of the API that it comes from: used now.
    pub spends: Option<Id<Token>>,
}

/// Puts a new payment method into the books; it belongs to nobody yet.
pub fn make(books: &mut Books, new: NewMethod, bucket: Bucket, at: &mut Moment) -> Result<Id<PaymentMethod>, Refusal> {
    if let Some(token) = &new.spends {
        token::spend(books, token)?;
    }
    let id: Id<PaymentMethod> = Id::new(&mut at.ids, bucket);
    books.put(PaymentMethod {
        id: id.clone(),
        object: Tag::PaymentMethod,
        allow_redisplay: new.allow_redisplay,
        billing_details: new.billing_details,
        card: new.card,
        created: at.now,
        customer: None,
        customer_account: Null,
        livemode: new.livemode,
        metadata: new.metadata,
        kind: Kind::Card,
        internal: Internal {
            authenticates: new.authenticates,
            may_authenticate: new.may_authenticate,
            set_up: false,
            token: new.token,
            spent: false,
        },
    });
    Ok(id)
}

/// Attaches a payment method to the customer of the books; one customer at a time.
pub fn attach(books: &mut Books, id: &Id<PaymentMethod>, at: &mut Moment) -> Result<(), Refusal> {
    let customer = books.customer()?.id.clone();
    let method = books.find(id, "payment_method")?.clone();
    if method.internal.spent {
        let message = "This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, \
                       and may not be used again.";
        return Err(Refusal::invalid(message).code("payment_method_unexpected_state").param("payment_method"));
    }
    match &method.customer {
        Some(owner) if *owner == customer => Ok(()),
        Some(_) => {
            let message = "The payment method you provided has already been attached to a customer.";
            Err(Refusal::invalid(message).code("payment_method_unexpected_state").param("payment_method"))
        }
        None => {
            books.put(PaymentMethod { customer: Some(customer), ..method }).tell("payment_method.attached", at);
            Ok(())
        }
    }
}

/// Detaches for good, and clears every default that named it.
pub fn detach(books: &mut Books, id: &Id<PaymentMethod>, at: &mut Moment) -> Result<(), Refusal> {
    let mut method = books.find(id, "payment_method")?.clone();
    if method.customer.is_none() {
        let message = "The payment method you provided is not attached to a customer so detachment is impossible.";
        return Err(Refusal::invalid(message).param("payment_method"));
    }
    let mut customer = books.customer()?.clone();
    if cleared(&mut customer.invoice_settings.default_payment_method, id) | cleared(&mut customer.default_source, id) {
        books.put(customer).tell("customer.updated", at);
    }
    for mut subscription in books.all::<Subscription>().cloned().collect::<Vec<_>>() {
        if cleared(&mut subscription.default_payment_method, id) | cleared(&mut subscription.default_source, id) {
            books.put(subscription).tell("customer.subscription.updated", at);
        }
    }
    for mut invoice in books.all::<Invoice>().cloned().collect::<Vec<_>>() {
        if cleared(&mut invoice.default_payment_method, id) | cleared(&mut invoice.default_source, id) {
            books.put(invoice).tell("invoice.updated", at);
        }
    }
    method.customer = None;
    method.internal.spent = true;
    books.put(method).tell("payment_method.detached", at);
    Ok(())
}

/// Takes a default away if this is it.
fn cleared(default: &mut Option<Id<PaymentMethod>>, id: &Id<PaymentMethod>) -> bool {
    default.take_if(|named| named == id).is_some()
}
