'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { stripe, since, priced, customerWith, refused, all, advance, unique } = require('./support.js');

const at = (text) => Date.parse(text) / 1000;
const START = at('2026-11-01T00:00:00Z');
const [JANUARY, FEBRUARY] = ['2027-01-01T00:00:00Z', '2027-02-01T00:00:00Z'].map(at);
/** Before clover a phase lasts so many intervals of its price. */
const months = (count) => (since('2025-09-30') ? { duration: { interval: 'month', interval_count: count } } : { iterations: count });

async function clocked(t) {
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: START, name: unique('clock') });
  t.after(() => stripe.testHelpers.testClocks.del(clock.id).catch(() => {}));
  const { customer } = await customerWith('pm_card_visa', { test_clock: clock.id });
  const [{ price: basic }, { price: pro }] = await Promise.all([priced(1000), priced(2000)]);
  return { clock, customer, basic, pro };
}

const totals = async (subscription) => (await all(stripe.invoices.list({ subscription }))).map((invoice) => invoice.total).reverse();

test('a price that rises after two months', { timeout: 60_000 }, async (t) => {
  const { clock, customer, basic, pro } = await clocked(t);
  const schedule = await stripe.subscriptionSchedules.create({
    customer: customer.id,
    start_date: 'now',
    phases: [{ items: [{ price: basic.id, quantity: 1 }], ...months(2) }, { items: [{ price: pro.id }], ...months(1) }],
    metadata: { order: '6735' },
    expand: ['subscription', 'phases.items.price'],
  });
  assert.equal(schedule.status, 'active');
  assert.equal(schedule.subscription.status, 'active');
  assert.equal(schedule.subscription.schedule, schedule.id);
  assert.equal(schedule.phases[0].items[0].price.unit_amount, 1000);
  assert.deepEqual(schedule.phases.map((phase) => phase.end_date), [JANUARY, FEBRUARY]);
  const subscription = schedule.subscription.id;
  await refused(stripe.subscriptions.update(subscription, { cancel_at_period_end: true }), 'StripeInvalidRequestError');

  await advance(clock, at('2026-12-20T00:00:00Z'));
  await advance(clock, at('2027-01-20T00:00:00Z'));
  assert.deepEqual(await totals(subscription), [1000, 1000, 2000]);
  const turned = await stripe.subscriptionSchedules.retrieve(schedule.id);
  assert.equal(turned.current_phase.end_date, FEBRUARY);
  await advance(clock, at('2027-02-10T00:00:00Z'));
  const completed = await stripe.subscriptionSchedules.retrieve(schedule.id);
  assert.equal(completed.status, 'completed');
  assert.equal(completed.completed_at, FEBRUARY);
  assert.equal((await stripe.subscriptions.retrieve(subscription)).schedule, null);
  assert.deepEqual(await totals(subscription), [1000, 1000, 2000, 2000]);
  const events = await all(stripe.events.list({ type: 'subscription_schedule.*', limit: 100 }));
  const told = events.filter((event) => event.data.object.id === schedule.id).map((event) => event.type).reverse();
  assert.deepEqual(told, ['created', 'updated', 'expiring', 'completed'].map((word) => `subscription_schedule.${word}`));
});

test('a downgrade at the end of the month, by a schedule of a subscription', { timeout: 60_000 }, async (t) => {
  const { clock, customer, basic, pro } = await clocked(t);
  const subscription = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: pro.id }] });
  const made = await stripe.subscriptionSchedules.create({ from_subscription: subscription.id });
  const [{ start_date, end_date, items }] = made.phases;
  const schedule = await stripe.subscriptionSchedules.update(made.id, {
    end_behavior: 'release',
    phases: [
      { start_date, end_date, items: items.map(({ price, quantity }) => ({ price, quantity })) },
      { items: [{ price: basic.id }], ...months(1) },
    ],
  });
  assert.equal(schedule.phases.length, 2);
  await advance(clock, at('2026-12-02T00:00:00Z'));
  assert.deepEqual(await totals(subscription.id), [2000, 1000]);
  const released = await stripe.subscriptionSchedules.release(schedule.id);
  assert.equal(released.status, 'released');
  assert.equal(released.released_subscription, subscription.id);
  assert.equal(released.subscription, null);
  await refused(stripe.subscriptionSchedules.cancel(schedule.id), 'StripeInvalidRequestError');
});

test('a subscription that begins later, and one that does not', { timeout: 60_000 }, async (t) => {
  const { clock, customer, basic } = await clocked(t);
  const later = () => stripe.subscriptionSchedules.create({
    customer: customer.id,
    start_date: at('2026-11-10T00:00:00Z'),
    end_behavior: 'cancel',
    phases: [{ items: [{ price: basic.id }], ...months(1) }],
  });
  const [one, other] = [await later(), await later()];
  const waiting = await all(stripe.subscriptionSchedules.list({ customer: customer.id, scheduled: true }));
  assert.deepEqual(waiting.map((schedule) => schedule.id), [other.id, one.id]);
  assert.equal((await stripe.subscriptionSchedules.cancel(other.id)).status, 'canceled');
  await advance(clock, at('2026-11-10T02:00:00Z'));
  const begun = await stripe.subscriptionSchedules.retrieve(one.id, { expand: ['subscription'] });
  assert.equal(begun.subscription.status, 'active');
  assert.equal(begun.subscription.cancel_at, begun.phases[0].end_date);
  assert.deepEqual(await totals(begun.subscription.id), [1000]);
  await advance(clock, at('2026-12-10T02:00:00Z'));
  const ended = await stripe.subscriptionSchedules.retrieve(one.id, { expand: ['subscription'] });
  assert.equal(ended.status, 'completed');
  assert.equal(ended.subscription.status, 'canceled');
  assert.deepEqual(await totals(begun.subscription.id), [1000]);
});
