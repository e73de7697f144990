'use strict';
// The whole life of a subscription, as Stripe's documentation tells it.
const { test } = require('node:test');
const assert = require('node:assert/strict');
const {
  stripe, has, only, priced, card, customerWith, intentOf, refused, all, advance, unique, cancel, cycle, payable, periodOf,
} = require('./support.js');

const at = (text) => Date.parse(text) / 1000;
const START = at('2027-01-01T00:00:00Z');
const FEBRUARY = at('2027-02-01T00:00:00Z');
const MARCH = at('2027-03-01T00:00:00Z');
const HOUR = 3600;
const DAY = 24 * HOUR;

/** A customer on a clock of their own, subscribed to a plan of 20 dollars a month. */
async function living(t, token = 'pm_card_visa', more = {}) {
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: START, name: unique('clock') });
  t.after(() => stripe.testHelpers.testClocks.del(clock.id).catch(() => {}));
  const { product, price } = await priced();
  const { customer, method } = await customerWith(token, { test_clock: clock.id });
  const subscription = await stripe.subscriptions.create({
    customer: customer.id, items: [{ price: price.id }], expand: payable('latest_invoice.'), ...more,
  });
  return { clock, product, price, customer, method, subscription };
}

const read = (subscription) => stripe.subscriptions.retrieve(subscription.id, { expand: ['latest_invoice'] });
const invoicesOf = async (subscription) => (await all(stripe.invoices.list({ subscription: subscription.id }))).reverse();
const statusesOf = async (subscription) => (await invoicesOf(subscription)).map((invoice) => invoice.status);
const sum = (lines) => lines.reduce((total, line) => total + line.amount, 0);

/** What was told about a subscription itself, oldest first. */
async function toldOf(subscription) {
  const events = await all(stripe.events.list({ type: 'customer.subscription.*', limit: 100 }));
  return events.filter((event) => event.data.object.id === subscription.id).reverse();
}

// "Payment status" of the documentation: what the first payment comes to.
for (const [outcome, token, intent, invoice, status] of [
  ['succeeds', 'pm_card_visa', 'succeeded', 'paid', 'active'],
  ['is declined', 'pm_card_chargeCustomerFail', 'requires_payment_method', 'open', 'incomplete'],
  ['needs authentication', 'pm_card_authenticationRequired', 'requires_action', 'open', 'incomplete'],
]) {
  test(`status table: the first payment ${outcome}`, async (t) => {
    const { subscription } = await living(t, token);
    assert.equal(subscription.status, status);
    assert.equal(subscription.latest_invoice.status, invoice);
    const behind = await intentOf(subscription.latest_invoice);
    assert.equal(behind.status, intent);
    assert.equal(behind.next_action !== null, intent === 'requires_action');
    const [created] = await toldOf(subscription);
    assert.equal(created.type, 'customer.subscription.created');
    assert.equal(created.data.object.status, status);
  });
}

test('incomplete, then paid by its payment intent', async (t) => {
  const { subscription } = await living(t, null, { payment_behavior: 'default_incomplete' });
  const intent = await intentOf(subscription.latest_invoice);
  await stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa' });
  const active = await read(subscription);
  assert.equal(active.status, 'active');
  assert.equal(periodOf(active).current_period_start, START, 'the cycle does not move');
  const updated = (await toldOf(subscription)).at(-1);
  assert.deepEqual({ ...updated.data.previous_attributes }, { status: 'incomplete' });
});

test('trial: free, announced, and charged when it ends', async (t) => {
  const { clock, subscription } = await living(t, 'pm_card_visa', { trial_period_days: 14 });
  const end = START + 14 * DAY;
  assert.equal(subscription.status, 'trialing');
  assert.deepEqual([subscription.trial_start, subscription.trial_end, subscription.billing_cycle_anchor], [START, end, end]);
  assert.equal(subscription.latest_invoice.status, 'paid');
  assert.equal(subscription.latest_invoice.total, 0);
  await advance(clock, end - 3 * DAY);
  assert.equal((await toldOf(subscription)).at(-1).type, 'customer.subscription.trial_will_end');
  await advance(clock, end + 2 * HOUR);
  const active = await read(subscription);
  assert.equal(active.status, 'active');
  assert.equal(active.latest_invoice.amount_paid, 2000);
  assert.equal(active.latest_invoice.billing_reason, 'subscription_cycle');
});

for (const [behavior, status, invoices] of [['create_invoice', 'past_due', 2], ['pause', 'paused', 1], ['cancel', 'canceled', 1]]) {
  const may = only(behavior !== 'pause' || has.latestCharge, 'the version has no such status');
  test(`trial: without a payment method, ${behavior}`, may, async (t) => {
    const { clock, subscription } = await living(t, null, {
      trial_period_days: 7, trial_settings: { end_behavior: { missing_payment_method: behavior } },
    });
    assert.equal(subscription.status, 'trialing');
    await advance(clock, START + 7 * DAY + 2 * HOUR);
    assert.equal((await read(subscription)).status, status);
    assert.equal((await invoicesOf(subscription)).length, invoices);
  });
}

test('trial: paused at its end, resumed with a card', only(stripe.subscriptions.resume), async (t) => {
  const { clock, customer, subscription } = await living(t, null, {
    trial_period_days: 7, trial_settings: { end_behavior: { missing_payment_method: 'pause' } },
  });
  await advance(clock, START + 10 * DAY);
  const paused = await read(subscription);
  assert.equal(paused.status, 'paused');
  if (has.endive) assert.equal(paused.status_details.paused.subscription.type, 'trial_end_without_payment_method');
  await card(customer);
  const waiting = await stripe.subscriptions.resume(subscription.id, { billing_cycle_anchor: cycle('now') });
  assert.equal(waiting.status, 'paused', 'until its invoice is paid');
  await stripe.invoices.pay(waiting.latest_invoice);
  const active = await read(subscription);
  assert.equal(active.status, 'active');
  assert.equal(active.billing_cycle_anchor, START + 10 * DAY);
  const types = (await toldOf(subscription)).map((event) => event.type);
  assert.ok(types.includes('customer.subscription.paused') && types.includes('customer.subscription.resumed'), `${types}`);
});

test('upgrade: the difference waits for the next invoice', async (t) => {
  const { clock, subscription } = await living(t);
  const { price: bigger } = await priced(5000);
  await advance(clock, at('2027-01-16T12:00:00Z'));
  const [item] = subscription.items.data;
  const changed = await stripe.subscriptions.update(subscription.id, {
    items: [{ id: item.id, price: bigger.id }], proration_behavior: 'create_prorations',
  });
  assert.equal(changed.items.data[0].price.id, bigger.id);
  assert.equal(periodOf(changed).current_period_end, FEBRUARY);
  await advance(clock, FEBRUARY + 2 * HOUR);
  const { latest_invoice: renewal } = await read(subscription);
  assert.equal(renewal.status, 'paid');
  assert.deepEqual(renewal.lines.data.map((line) => line.amount).sort((a, b) => a - b), [-1000, 2500, 5000]);
  assert.equal(renewal.amount_paid, 6500);
});

test('upgrade: the difference at once', async (t) => {
  const { clock, subscription } = await living(t);
  const { price: bigger } = await priced(5000);
  await advance(clock, at('2027-01-16T12:00:00Z'));
  const changed = await stripe.subscriptions.update(subscription.id, {
    items: [{ id: subscription.items.data[0].id, price: bigger.id }], proration_behavior: 'always_invoice', expand: ['latest_invoice'],
  });
  assert.equal(changed.latest_invoice.status, 'paid');
  assert.equal(changed.latest_invoice.billing_reason, 'subscription_update');
  assert.equal(changed.latest_invoice.total, 1500);
});

test('downgrade: credit for the next invoice', async (t) => {
  const { clock, subscription } = await living(t);
  const { price: smaller } = await priced(1000);
  await advance(clock, at('2027-01-16T12:00:00Z'));
  await stripe.subscriptions.update(subscription.id, { items: [{ id: subscription.items.data[0].id, price: smaller.id }] });
  await advance(clock, FEBRUARY + 2 * HOUR);
  const { latest_invoice: renewal } = await read(subscription);
  assert.equal(renewal.amount_paid, 1000 - 1000 + 500);
  assert.equal(sum(renewal.lines.data), renewal.total);
});

test('quantity: more seats are charged for the rest of the period', async (t) => {
  const { clock, subscription } = await living(t);
  await advance(clock, at('2027-01-16T12:00:00Z'));
  await stripe.subscriptionItems.update(subscription.items.data[0].id, { quantity: 3, proration_behavior: 'always_invoice' });
  const { latest_invoice: invoice } = await read(subscription);
  assert.equal(invoice.status, 'paid');
  assert.equal(invoice.total, 2000);
});

test('pause collection: invoices are made and voided, until it resumes', async (t) => {
  const { clock, subscription } = await living(t);
  const paused = await stripe.subscriptions.update(subscription.id, { pause_collection: { behavior: 'void' } });
  assert.equal(paused.status, 'active');
  assert.deepEqual({ ...paused.pause_collection }, { behavior: 'void', resumes_at: null });
  const until = FEBRUARY + 10 * DAY;
  await stripe.subscriptions.update(subscription.id, { pause_collection: { behavior: 'void', resumes_at: until } });
  await advance(clock, until);
  assert.equal((await read(subscription)).pause_collection, null);
  await advance(clock, MARCH + 2 * HOUR);
  assert.deepEqual(await statusesOf(subscription), ['paid', 'void', 'paid']);
  const told = await toldOf(subscription);
  const paths = told.map((event) => event.data.previous_attributes?.pause_collection).filter((before) => before !== undefined);
  assert.deepEqual(JSON.parse(JSON.stringify(paths)), [null, { resumes_at: null }, { behavior: 'void', resumes_at: until }]);
  assert.ok(told.every((event) => !/\.(paused|resumed)$/.test(event.type)));
});

test('pause collection: drafts are kept, and collected later', async (t) => {
  const { clock, subscription } = await living(t);
  await stripe.subscriptions.update(subscription.id, { pause_collection: { behavior: 'keep_as_draft' } });
  await advance(clock, FEBRUARY + DAY);
  const [, draft] = await invoicesOf(subscription);
  assert.deepEqual([draft.status, draft.auto_advance], ['draft', false]);
  const free = await stripe.subscriptions.update(subscription.id, { pause_collection: '' });
  assert.equal(free.pause_collection, null);
  await stripe.invoices.update(draft.id, { auto_advance: true });
  await advance(clock, FEBRUARY + 2 * DAY);
  assert.deepEqual(await statusesOf(subscription), ['paid', 'paid']);
});

test('pause collection: given up in favour of the customer', async (t) => {
  const { clock, subscription } = await living(t);
  await stripe.subscriptions.update(subscription.id, { pause_collection: { behavior: 'mark_uncollectible' } });
  await advance(clock, FEBRUARY + DAY);
  const [, invoice] = await invoicesOf(subscription);
  assert.equal(invoice.status, 'uncollectible');
  if (has.endive) assert.equal(invoice.status_details.uncollectible.reason, 'subscription_paused');
  assert.equal((await read(subscription)).status, 'active');
});

test('pause and resume: the rest is given back, and used again', only(stripe.subscriptions.pause), async (t) => {
  const { clock, customer, subscription } = await living(t);
  await advance(clock, at('2027-01-16T12:00:00Z'));
  const paused = await stripe.subscriptions.pause(subscription.id, { invoicing_behavior: 'pending_invoice_item' });
  assert.equal(paused.status, 'paused');
  assert.equal(paused.status_details.paused.subscription.type, 'pause_requested');
  const pending = await all(stripe.invoiceItems.list({ customer: customer.id, pending: true }));
  assert.deepEqual(pending.map((item) => [item.amount, item.proration]), [[-1000, true]]);
  await advance(clock, MARCH);
  assert.equal((await invoicesOf(subscription)).length, 1, 'no invoices while it is paused');
  const resumed = await stripe.subscriptions.resume(subscription.id, { payment_behavior: 'resume_on_payment_success' });
  assert.equal(resumed.status, 'active');
  assert.equal(resumed.billing_cycle_anchor, MARCH);
  assert.deepEqual(await statusesOf(subscription), ['paid', 'paid']);
  assert.equal((await read(subscription)).latest_invoice.amount_paid, 1000);
  await refused(stripe.subscriptions.resume(subscription.id), 'StripeInvalidRequestError', { statusCode: 400 });
});

test('cancel: now, with the unused time given back', async (t) => {
  const { clock, customer, subscription } = await living(t);
  await advance(clock, at('2027-01-16T12:00:00Z'));
  const ended = await cancel(subscription.id, {
    prorate: true, invoice_now: true, cancellation_details: { comment: 'moving on', feedback: 'unused' },
  });
  assert.equal(ended.status, 'canceled');
  assert.deepEqual([ended.canceled_at, ended.ended_at], [at('2027-01-16T12:00:00Z'), at('2027-01-16T12:00:00Z')]);
  if (has.details) assert.deepEqual([ended.cancellation_details.feedback, ended.cancellation_details.reason], ['unused', 'cancellation_requested']);
  assert.equal((await stripe.customers.retrieve(customer.id)).balance, -1000);
  await advance(clock, MARCH);
  assert.equal((await invoicesOf(subscription)).length, 2);
});

test('cancel: at period end, taken back, and asked for again', async (t) => {
  const { clock, subscription } = await living(t);
  const asked = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
  assert.deepEqual([asked.status, asked.cancel_at, asked.canceled_at], ['active', FEBRUARY, START]);
  const undone = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: false });
  assert.deepEqual([undone.cancel_at, undone.canceled_at], [null, null]);
  await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
  await advance(clock, FEBRUARY + DAY);
  const ended = await read(subscription);
  assert.deepEqual([ended.status, ended.ended_at], ['canceled', FEBRUARY]);
  assert.equal((await invoicesOf(subscription)).length, 1);
  assert.equal((await toldOf(subscription)).at(-1).type, 'customer.subscription.deleted');
});

test('a cancelled subscription takes metadata and reasons, and nothing else', async (t) => {
  const { price, subscription } = await living(t);
  await cancel(subscription.id);
  const kept = await stripe.subscriptions.update(subscription.id, { metadata: { left: 'yes' }, cancellation_details: { comment: 'late' } });
  assert.equal(kept.metadata.left, 'yes');
  if (has.details) assert.equal(kept.cancellation_details.comment, 'late');
  for (const change of [{ cancel_at_period_end: true }, { items: [{ price: price.id }] }, { pause_collection: { behavior: 'void' } }, { description: 'x' }]) {
    await refused(stripe.subscriptions.update(subscription.id, change), 'StripeInvalidRequestError', {
      statusCode: 400, code: 'invalid_canceled_subscription_fields',
    });
  }
  await refused(cancel(subscription.id), 'StripeInvalidRequestError', { statusCode: 404, code: 'resource_missing' });
  if (stripe.subscriptions.resume) await refused(stripe.subscriptions.resume(subscription.id), 'StripeInvalidRequestError', { statusCode: 400 });
});

test('void: the older invoices decide what the subscription is', async (t) => {
  const { clock, customer, subscription } = await living(t);
  await card(customer, 'pm_card_chargeCustomerFail');
  await advance(clock, FEBRUARY + 2 * HOUR);
  assert.equal((await read(subscription)).status, 'past_due');
  const { latest_invoice: owed } = await read(subscription);
  const voided = await stripe.invoices.voidInvoice(owed.id);
  assert.equal(voided.status, 'void');
  assert.ok(voided.status_transitions.voided_at);
  assert.equal((await read(subscription)).status, 'active');
  assert.equal((await intentOf(voided)).cancellation_reason, 'void_invoice');
  const incomplete = await living(t, 'pm_card_chargeCustomerFail');
  await stripe.invoices.voidInvoice(incomplete.subscription.latest_invoice.id);
  assert.equal((await read(incomplete.subscription)).status, 'incomplete_expired');
});

test('past due, and back by paying, or by giving up', async (t) => {
  for (const settle of [
    async (invoice, customer) => { await card(customer); return stripe.invoices.pay(invoice.id); },
    (invoice) => stripe.invoices.pay(invoice.id, { paid_out_of_band: true }),
    (invoice) => stripe.invoices.markUncollectible(invoice.id),
  ]) {
    const { clock, customer, subscription } = await living(t);
    await card(customer, 'pm_card_chargeCustomerFail');
    await advance(clock, FEBRUARY + 2 * HOUR);
    const late = await read(subscription);
    assert.equal(late.status, 'past_due');
    await settle(late.latest_invoice, customer);
    assert.equal((await read(subscription)).status, 'active');
    assert.equal((await stripe.customers.retrieve(customer.id)).delinquent, false);
  }
});

test('unpaid, and back', async (t) => {
  const { clock, customer, subscription } = await living(t);
  await card(customer, 'pm_card_chargeCustomerFail');
  await advance(clock, FEBRUARY + 40 * DAY);
  assert.equal((await read(subscription)).status, 'unpaid');
  const draft = (await invoicesOf(subscription)).at(-1);
  assert.deepEqual([draft.status, draft.auto_advance], ['draft', false]);
  await card(customer);
  await stripe.invoices.finalizeInvoice(draft.id);
  await stripe.invoices.pay(draft.id);
  assert.equal((await read(subscription)).status, 'active');
});
