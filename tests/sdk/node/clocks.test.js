'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const {
  stripe, has, priced, card, customerWith, intentOf, refused, all, advance, sink, until, unique, periodOf, previousPeriodEnd, chargeIdOf,
} = require('./support.js');

const at = (text) => Date.parse(text) / 1000;
const START = at('2027-01-31T09:00:05Z');
const HOUR = 3600;
const BOUNDARIES = [
  '2027-01-31', '2027-02-28', '2027-03-31', '2027-04-30', '2027-05-31', '2027-06-30', '2027-07-31', '2027-08-31', '2027-09-30',
  '2027-10-31', '2027-11-30', '2027-12-31', '2028-01-31', '2028-02-29', '2028-03-31', '2028-04-30',
].map((day) => at(`${day}T09:00:05Z`));

async function clocked(t, token = 'pm_card_visa', more = {}) {
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: START, name: unique('clock') });
  t.after(() => stripe.testHelpers.testClocks.del(clock.id).catch(() => {}));
  const { price } = await priced();
  const { customer, method } = await customerWith(token, { test_clock: clock.id });
  const subscription = await stripe.subscriptions.create({
    customer: customer.id, items: [{ price: price.id }], expand: ['latest_invoice'], ...more,
  });
  return { clock, price, customer, method, subscription };
}

const invoicesOf = async (subscription) => (await all(stripe.invoices.list({ subscription: subscription.id, limit: 5 }))).reverse();

test('fourteen months in one advance', { timeout: 120_000 }, async (t) => {
  const { clock, customer, subscription } = await clocked(t);
  assert.equal(clock.status, 'ready');
  assert.equal(clock.frozen_time, START);
  assert.equal(customer.test_clock, clock.id);
  assert.equal(customer.created, START);
  assert.equal(subscription.test_clock, clock.id);
  assert.equal(subscription.created, START);
  assert.equal(subscription.status, 'active');
  assert.deepEqual([periodOf(subscription).current_period_start, periodOf(subscription).current_period_end], BOUNDARIES.slice(0, 2));

  await advance(clock, BOUNDARIES[14] + 2 * HOUR);
  const invoices = await invoicesOf(subscription);
  assert.equal(invoices.length, 15);
  invoices.forEach((invoice, i) => {
    const [line] = invoice.lines.data;
    assert.equal(invoice.status, 'paid');
    assert.equal(invoice.amount_paid, 2000);
    assert.equal(invoice.created, BOUNDARIES[i]);
    assert.equal(invoice.billing_reason, i === 0 ? 'subscription_create' : 'subscription_cycle');
    assert.deepEqual([line.period.start, line.period.end], [BOUNDARIES[i], BOUNDARIES[i + 1]]);
    assert.deepEqual([invoice.period_start, invoice.period_end], [BOUNDARIES[Math.max(i - 1, 0)], BOUNDARIES[i]]);
    if (i > 0) {
      for (const moment of [invoice.status_transitions.finalized_at, invoice.status_transitions.paid_at]) {
        assert.ok(moment - invoice.created >= HOUR && moment - invoice.created <= HOUR + 120, `finalised and paid an hour later: ${moment - invoice.created}`);
      }
    }
  });
  assert.equal(new Set(invoices.map((invoice) => invoice.number)).size, 15);
  const after = await stripe.subscriptions.retrieve(subscription.id);
  assert.equal(after.status, 'active');
  assert.equal(after.billing_cycle_anchor, START);
  assert.equal(after.latest_invoice, invoices[14].id);
  assert.deepEqual([periodOf(after).current_period_start, periodOf(after).current_period_end], BOUNDARIES.slice(14, 16));
  const charges = await all(stripe.charges.list({ customer: customer.id, limit: 6 }));
  assert.equal(charges.length, 15);
  assert.ok(charges.every((charge) => charge.paid && charge.amount === 2000));
  const intents = await all(stripe.paymentIntents.list({ customer: customer.id }));
  assert.equal(intents.length, 15);
  assert.equal(intents[0].description, 'Subscription update');

  const events = await all(stripe.events.list({ types: ['invoice.created', 'invoice.finalized', 'invoice.paid', 'invoice.payment_succeeded', 'customer.subscription.updated', 'charge.succeeded'], limit: 100 }));
  const count = (type) => events.filter((event) => event.type === type && event.data.object.customer === customer.id).length;
  assert.deepEqual(
    ['invoice.created', 'invoice.finalized', 'invoice.paid', 'invoice.payment_succeeded', 'charge.succeeded', 'customer.subscription.updated'].map(count),
    [15, 15, 15, 15, 15, 14],
  );
  const renewal = events.find((event) => event.type === 'customer.subscription.updated' && event.data.object.customer === customer.id);
  assert.deepEqual({ ...renewal.request }, { id: null, idempotency_key: null });
  assert.equal(renewal.data.previous_attributes.latest_invoice, invoices[13].id);
  assert.equal(previousPeriodEnd(renewal.data.previous_attributes), BOUNDARIES[14]);
});

test('a renewal is a draft for an hour', async (t) => {
  const { clock, subscription } = await clocked(t);
  await advance(clock, BOUNDARIES[1] - 1);
  assert.equal((await invoicesOf(subscription)).length, 1);
  await advance(clock, BOUNDARIES[1]);
  const [, draft] = await invoicesOf(subscription);
  assert.equal(draft.status, 'draft');
  assert.equal(draft.auto_advance, true);
  assert.equal(draft.number, null);
  assert.equal(draft.attempt_count, 0);
  if (has.latestCharge) assert.ok(Math.abs(draft.automatically_finalizes_at - BOUNDARIES[1] - HOUR) <= 120);
  assert.ok(Math.abs(draft.next_payment_attempt - BOUNDARIES[1] - HOUR) <= 120);
  await refused(stripe.invoices.del(draft.id), 'StripeInvalidRequestError', { statusCode: 400 });
  assert.equal(periodOf(await stripe.subscriptions.retrieve(subscription.id)).current_period_start, BOUNDARIES[1]);
  await stripe.invoiceItems.create({ customer: draft.customer, invoice: draft.id, amount: 500, currency: 'usd' });
  await advance(clock, BOUNDARIES[1] + 2 * HOUR);
  const paid = await stripe.invoices.retrieve(draft.id);
  assert.equal(paid.status, 'paid');
  assert.equal(paid.amount_paid, 2500);
});

test('a card that starts declining: past_due, open, and recovered', async (t) => {
  const { clock, customer, subscription } = await clocked(t);
  await card(customer, 'pm_card_chargeCustomerFail');
  await advance(clock, BOUNDARIES[1] + 2 * HOUR);
  const late = await stripe.subscriptions.retrieve(subscription.id, { expand: ['latest_invoice'] });
  assert.equal(late.status, 'past_due');
  const invoice = late.latest_invoice;
  assert.equal(invoice.status, 'open');
  assert.equal(invoice.billing_reason, 'subscription_cycle');
  assert.equal(invoice.attempted, true);
  assert.equal(invoice.attempt_count, 1);
  assert.equal(invoice.amount_remaining, 2000);
  const intent = await intentOf(invoice);
  assert.equal(intent.status, 'requires_payment_method');
  assert.equal(intent.last_payment_error.decline_code, 'generic_decline');
  assert.equal((await stripe.customers.retrieve(customer.id)).delinquent, true);
  const types = (await all(stripe.events.list({ limit: 100 })))
    .filter((event) => event.data.object.customer === customer.id && [invoice.id, intent.id, chargeIdOf(intent), subscription.id].includes(event.data.object.id))
    .filter((event) => event.data.object.id !== subscription.id || event.data.object.status === 'past_due')
    .map((event) => event.type);
  for (const type of ['invoice.created', 'invoice.finalized', 'payment_intent.created', 'charge.failed', 'payment_intent.payment_failed', 'invoice.updated', 'invoice.payment_failed', 'customer.subscription.updated']) {
    assert.ok(types.includes(type), `${type} among ${types}`);
  }
  assert.ok(!types.includes('invoice.paid'));

  await card(customer, 'pm_card_visa');
  assert.equal((await stripe.invoices.retrieve(invoice.id)).status, 'open', 'a new default card waits for the next attempt');
  const paid = await stripe.invoices.pay(invoice.id);
  assert.equal(paid.status, 'paid');
  assert.equal((await stripe.subscriptions.retrieve(subscription.id)).status, 'active');
  assert.equal((await stripe.customers.retrieve(customer.id)).delinquent, false);
});

test('after a failed renewal the next attempt is planned', async (t) => {
  const { clock, customer, subscription } = await clocked(t);
  await card(customer, 'pm_card_chargeCustomerFail');
  await advance(clock, BOUNDARIES[1] + 2 * HOUR);
  const [, invoice] = await invoicesOf(subscription);
  assert.ok(invoice.next_payment_attempt > BOUNDARIES[1] + 2 * HOUR);
});

test('cancel at period end ends without another invoice', async (t) => {
  const { clock, subscription } = await clocked(t);
  await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
  await advance(clock, BOUNDARIES[1] + 2 * HOUR);
  const ended = await stripe.subscriptions.retrieve(subscription.id);
  assert.equal(ended.status, 'canceled');
  assert.equal(ended.ended_at, BOUNDARIES[1]);
  assert.equal(ended.canceled_at, START);
  assert.equal((await invoicesOf(subscription)).length, 1);
});

test('an incomplete subscription expires after 23 hours', async (t) => {
  const { clock, subscription } = await clocked(t, null, { payment_behavior: 'default_incomplete' });
  assert.equal(subscription.status, 'incomplete');
  await advance(clock, START + 22 * HOUR);
  assert.equal((await stripe.subscriptions.retrieve(subscription.id)).status, 'incomplete');
  await advance(clock, START + 24 * HOUR);
  const expired = await stripe.subscriptions.retrieve(subscription.id, { expand: ['latest_invoice'] });
  assert.equal(expired.status, 'incomplete_expired');
  assert.equal(expired.latest_invoice.status, 'void');
  const intent = await intentOf(expired.latest_invoice);
  assert.equal(intent.status, 'canceled');
  assert.equal(intent.cancellation_reason, 'void_invoice');
});

test('webhooks of renewals are sent', async (t) => {
  const { clock, customer } = await clocked(t);
  const hook = await sink(t);
  await advance(clock, BOUNDARIES[1] + 2 * HOUR);
  const paid = () => hook.events().find((event) => event.type === 'invoice.paid' && event.data.object.customer === customer.id);
  await until('invoice.paid', paid, 20);
  assert.equal(paid().data.object.billing_reason, 'subscription_cycle');
  assert.deepEqual(hook.failures, []);
});

test('clocks: list, hide, refuse, delete', async () => {
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: START });
  assert.match(clock.id, /^clock_/);
  assert.ok((await all(stripe.testHelpers.testClocks.list())).some((each) => each.id === clock.id));
  const { customer } = await customerWith('pm_card_visa', { test_clock: clock.id });
  const { price } = await priced();
  const subscription = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  assert.equal((await stripe.customers.list({ email: customer.email })).data.length, 0, 'hidden without the filter');
  assert.deepEqual((await stripe.customers.list({ test_clock: clock.id })).data.map((each) => each.id), [customer.id]);
  assert.deepEqual((await stripe.subscriptions.list({ test_clock: clock.id })).data.map((each) => each.id), [subscription.id]);
  assert.deepEqual((await stripe.subscriptions.list({ customer: customer.id })).data.map((each) => each.id), [subscription.id]);
  await refused(stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: START - 1 }), 'StripeInvalidRequestError', { statusCode: 400 });
  await refused(stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: START }), 'StripeInvalidRequestError', { statusCode: 400 });
  const stub = await stripe.testHelpers.testClocks.del(clock.id);
  assert.deepEqual({ ...stub }, { id: clock.id, object: 'test_helpers.test_clock', deleted: true });
  await refused(stripe.testHelpers.testClocks.retrieve(clock.id), 'StripeInvalidRequestError', { statusCode: 404, code: 'resource_missing' });
  const left = await stripe.customers.retrieve(customer.id).catch((error) => error);
  assert.ok(left.deleted === true || left.code === 'resource_missing', 'its customer goes with it');
  assert.equal((await stripe.subscriptions.list({ price: price.id })).data.length, 0);
});
