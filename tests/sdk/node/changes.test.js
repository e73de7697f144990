'use strict';
// What an update can say, and what can be looked at before it is done.
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { stripe, has, only, preview, priced, customerWith, refused, all, advance, unique } = require('./support.js');

const at = (text) => Date.parse(text) / 1000;
const START = at('2027-01-01T00:00:00Z');
const MIDDLE = at('2027-01-16T12:00:00Z');

/** A customer on a clock of their own, in the middle of a month of 20 dollars. */
async function halfway(t) {
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: START, name: unique('clock') });
  t.after(() => stripe.testHelpers.testClocks.del(clock.id).catch(() => {}));
  const { product, price } = await priced();
  const { customer } = await customerWith('pm_card_visa', { test_clock: clock.id });
  const subscription = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  await advance(clock, MIDDLE);
  return { clock, product, customer, subscription, item: subscription.items.data[0] };
}

const amounts = (invoice) => invoice.lines.data.map((line) => line.amount);

test('an upgrade with a one-off item is what its preview showed', only(stripe.invoices.createPreview), async (t) => {
  const { product, subscription, item } = await halfway(t);
  const dearer = await stripe.prices.create({ product: product.id, currency: 'usd', unit_amount: 5000, recurring: { interval: 'month' } });
  const seen = await preview({
    subscription: subscription.id,
    subscription_details: { items: [{ id: item.id, price: dearer.id }], proration_behavior: 'always_invoice' },
    invoice_items: [{ price_data: { product: product.id, currency: 'usd', unit_amount: 700 } }],
  });
  const changed = await stripe.subscriptions.update(subscription.id, {
    items: [{ id: item.id, price: dearer.id }],
    add_invoice_items: [{ price_data: { product: product.id, currency: 'usd', unit_amount: 700 } }],
    proration_behavior: 'always_invoice',
    expand: ['latest_invoice'],
  });
  const sorted = (invoice) => amounts(invoice).sort((a, b) => a - b);
  assert.deepEqual(sorted(changed.latest_invoice), sorted(seen));
  assert.equal(changed.latest_invoice.total, seen.total);
  assert.equal(changed.latest_invoice.status, 'paid');
});

test('cancelling and pausing can be looked at first', only(stripe.subscriptions.pause), async (t) => {
  const { subscription } = await halfway(t);
  const cancel = await preview({ subscription: subscription.id, subscription_details: { cancel_now: true } });
  assert.equal(cancel.total, -1000);
  const pause = await preview({
    subscription: subscription.id, subscription_details: { pause: { type: 'subscription', invoicing_behavior: 'invoice' } },
  });
  assert.equal(pause.total, -1000);
  await refused(preview({
    subscription: subscription.id, subscription_details: { cancel_now: true, proration_behavior: 'none' },
  }), 'StripeInvalidRequestError', { statusCode: 404, code: 'invoice_upcoming_none' });
});

test('an end, another way to collect, and intervals for what is pending', only(has.basil, 'the version has no footer there'), async (t) => {
  const { subscription } = await halfway(t);
  const end = at('2027-01-24T06:00:00Z');
  const ending = await stripe.subscriptions.update(subscription.id, {
    cancel_at: end, proration_behavior: 'always_invoice', expand: ['latest_invoice'],
  });
  assert.equal(ending.cancel_at, end);
  assert.equal(ending.latest_invoice.total, -500);
  const sent = await stripe.subscriptions.update(subscription.id, {
    cancel_at: '', proration_behavior: 'none', collection_method: 'send_invoice', days_until_due: 14,
    pending_invoice_item_interval: { interval: 'week', interval_count: 1 },
    invoice_settings: { footer: 'Thank you' },
  });
  assert.equal(sent.cancel_at, null);
  assert.equal(sent.days_until_due, 14);
  assert.equal(sent.next_pending_invoice_item_invoice, MIDDLE + 7 * 86400);
  assert.equal(sent.invoice_settings.footer, 'Thank you');
});

test('classic becomes flexible, once', only(stripe.subscriptions.migrate), async () => {
  const { price } = await priced();
  const { customer } = await customerWith('pm_card_visa');
  const classic = await stripe.subscriptions.create({
    customer: customer.id, items: [{ price: price.id }], billing_mode: { type: 'classic' },
  });
  const flexible = await stripe.subscriptions.migrate(classic.id, { billing_mode: { type: 'flexible' } });
  assert.equal(flexible.billing_mode.type, 'flexible');
  await refused(stripe.subscriptions.migrate(classic.id, { billing_mode: { type: 'flexible' } }), 'StripeInvalidRequestError', { statusCode: 400 });
});

test('what is not paid leaves no trace', async (t) => {
  const { customer, product, subscription, item } = await halfway(t);
  const failing = await stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer: customer.id });
  await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: failing.id } });
  const dearer = await stripe.prices.create({ product: product.id, currency: 'usd', unit_amount: 5000, recurring: { interval: 'month' } });
  await refused(stripe.subscriptions.update(subscription.id, {
    items: [{ id: item.id, price: dearer.id }], proration_behavior: 'always_invoice', payment_behavior: 'error_if_incomplete',
  }), 'StripeCardError', { code: 'card_declined' });
  assert.equal((await all(stripe.invoices.list({ customer: customer.id }))).length, 1);
  assert.equal((await all(stripe.invoiceItems.list({ customer: customer.id }))).length, 0);
  assert.equal((await stripe.subscriptions.retrieve(subscription.id)).items.data[0].price.id, item.price.id);
});
