'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { stripe, priced, customerWith, charged, chargeOf, intentOf, refused, all, advance, sink, until, unique } = require('./support.js');

const START = Date.parse('2027-03-01T12:00:00Z') / 1000;
const DAY = 86400;

/** A payment on a clock with such a card, a minute after it was made. */
async function paid(t, token) {
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: START, name: unique('clock') });
  t.after(() => stripe.testHelpers.testClocks.del(clock.id).catch(() => {}));
  const [{ price }, { customer }] = await Promise.all([priced(), customerWith(token, { test_clock: clock.id })]);
  const subscription = await stripe.subscriptions.create({
    customer: customer.id, items: [{ price: price.id }], expand: ['latest_invoice'],
  });
  const intent = await intentOf(subscription.latest_invoice, charged);
  await advance(clock, START + 60);
  return { clock, subscription, intent, charge: chargeOf(intent).id };
}

test('a dispute is answered and won', { timeout: 120_000 }, async (t) => {
  const hook = await sink(t, [
    'charge.dispute.created', 'charge.dispute.funds_withdrawn', 'charge.dispute.updated', 'charge.dispute.closed',
    'charge.dispute.funds_reinstated',
  ]);
  const { clock, subscription, intent, charge } = await paid(t, 'pm_card_createDispute');
  const [dispute] = await all(stripe.disputes.list({ charge, expand: ['data.charge'] }));
  assert.equal(dispute.status, 'needs_response');
  assert.equal(dispute.reason, 'fraudulent');
  assert.equal(dispute.amount, 2000);
  assert.equal(dispute.payment_intent, intent.id);
  assert.equal(dispute.charge.disputed, true);
  assert.equal(dispute.evidence_details.due_by, START + 60 + 7 * DAY);
  const [taken] = dispute.balance_transactions;
  assert.deepEqual([taken.amount, taken.fee, taken.net], [-2000, 1500, -3500]);
  assert.equal((await stripe.balanceTransactions.retrieve(taken.id)).source, dispute.id);
  await refused(stripe.refunds.create({ charge }), 'StripeInvalidRequestError', { code: 'charge_disputed' });

  const staged = await stripe.disputes.update(dispute.id, {
    evidence: { customer_name: 'Ada', product_description: 'A plan' }, metadata: { case: '7' }, submit: false,
  });
  assert.equal(staged.status, 'needs_response');
  assert.equal(staged.evidence_details.has_evidence, true);
  const sent = await stripe.disputes.update(dispute.id, { evidence: { uncategorized_text: 'winning_evidence' } });
  assert.equal(sent.status, 'under_review');
  assert.equal(sent.evidence.customer_name, 'Ada');
  assert.equal(sent.evidence_details.submission_count, 1);
  await refused(stripe.disputes.close(dispute.id), 'StripeInvalidRequestError');

  await advance(clock, START + 120);
  const won = await stripe.disputes.retrieve(dispute.id);
  assert.equal(won.status, 'won');
  assert.deepEqual(won.balance_transactions.map((each) => each.net), [-3500, 3500]);
  assert.equal((await stripe.subscriptions.retrieve(subscription.id, { expand: ['latest_invoice'] })).latest_invoice.status, 'paid');
  await until('the news', async () => hook.deliveries.length >= 6);
  assert.deepEqual(hook.failures, []);
  assert.deepEqual(hook.events().map((event) => event.type).toSorted(), [
    'charge.dispute.closed', 'charge.dispute.created', 'charge.dispute.funds_reinstated', 'charge.dispute.funds_withdrawn',
    'charge.dispute.updated', 'charge.dispute.updated',
  ]);
});

test('a dispute is given up, another is not answered', { timeout: 120_000 }, async (t) => {
  const given = await paid(t, 'pm_card_createDisputeProductNotReceived');
  const [dispute] = await all(stripe.disputes.list({ payment_intent: given.intent.id }));
  assert.equal((await stripe.disputes.close(dispute.id)).status, 'lost');
  const silent = await paid(t, 'pm_card_createDispute');
  await advance(silent.clock, START + 8 * DAY);
  assert.equal((await all(stripe.disputes.list({ charge: silent.charge })))[0].status, 'lost');
});

test('an inquiry, and a warning', { timeout: 120_000 }, async (t) => {
  const asked = await paid(t, 'pm_card_createDisputeInquiry');
  const [inquiry] = await all(stripe.disputes.list({ charge: asked.charge }));
  assert.equal(inquiry.status, 'warning_needs_response');
  assert.equal(inquiry.is_charge_refundable, true);
  assert.equal(inquiry.balance_transactions.length, 0);
  await stripe.refunds.create({ charge: asked.charge });
  assert.equal((await stripe.disputes.retrieve(inquiry.id)).status, 'warning_closed');

  const suspected = await paid(t, 'pm_card_createIssuerFraudRecord');
  const [warning] = await all(stripe.radar.earlyFraudWarnings.list({ charge: suspected.charge }));
  assert.equal(warning.actionable, true);
  await stripe.refunds.create({ charge: suspected.charge });
  const after = await stripe.radar.earlyFraudWarnings.retrieve(warning.id, { expand: ['charge'] });
  assert.equal(after.actionable, false);
  assert.equal(after.charge.refunded, true);
});
