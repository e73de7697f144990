'use strict';
// Checkout: a session is made, completed as its customer would, and heard of.
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { stripe, base, pin, priced, refused, sink, until, unique } = require('./support.js');

const urls = { success_url: 'https://example.com/done?session={CHECKOUT_SESSION_ID}', cancel_url: 'https://example.com/cart' };

/** What a customer does on the page of a session. */
async function complete(session, card) {
  const answer = await fetch(new URL(`/v1/test_helpers/checkout/sessions/${session.id}/complete`, base), {
    method: 'POST',
    headers: { Authorization: `Bearer ${process.env.DUNLIN_SECRET_KEY}`, 'Stripe-Version': pin },
    body: new URLSearchParams({ payment_method: card, email: 'ada@example.com' }),
  });
  return answer.status;
}

test('a subscription is sold on a page', async (t) => {
  const hook = await sink(t, ['checkout.session.completed']);
  const { price } = await priced();
  const session = await stripe.checkout.sessions.create({
    ...urls, mode: 'subscription', line_items: [{ price: price.id, quantity: 2 }], client_reference_id: unique('cart'),
  });
  assert.equal(session.status, 'open');
  assert.equal(session.amount_total, 4000);
  assert.equal((await fetch(session.url)).status, 200);
  assert.equal(await complete(session, 'pm_card_visa_chargeDeclined'), 402);
  assert.equal((await stripe.checkout.sessions.retrieve(session.id)).status, 'open');
  assert.equal(await complete(session, 'pm_card_visa'), 200);
  const mine = (event) => event.data.object.id === session.id;
  await until('the event', () => hook.events().some(mine));
  const told = hook.events().find(mine).data.object;
  assert.equal(told.payment_status, 'paid');
  assert.equal(told.client_reference_id, session.client_reference_id);
  const subscription = await stripe.subscriptions.retrieve(told.subscription);
  assert.equal(subscription.status, 'active');
  assert.equal(subscription.items.data[0].quantity, 2);
  const lines = await stripe.checkout.sessions.listLineItems(session.id);
  assert.deepEqual(lines.data.map((line) => [line.price.id, line.quantity, line.amount_total]), [[price.id, 2, 4000]]);
  const whole = await stripe.checkout.sessions.retrieve(session.id, { expand: ['line_items', 'customer'] });
  assert.equal(whole.customer.email, 'ada@example.com');
  assert.equal(whole.line_items.data[0].id, lines.data[0].id);
});

test('what is not open cannot be expired', async () => {
  const { product } = await priced();
  const price = await stripe.prices.create({ product: product.id, currency: 'usd', unit_amount: 700 });
  const made = () => stripe.checkout.sessions.create({ ...urls, mode: 'payment', line_items: [{ price: price.id, quantity: 1 }] });
  const session = await made();
  assert.equal(await complete(session, 'pm_card_visa'), 200);
  const expire = stripe.checkout.sessions.expire;
  if (expire) {
    await refused(stripe.checkout.sessions.expire(session.id), 'StripeInvalidRequestError', { statusCode: 400 });
    assert.equal((await stripe.checkout.sessions.expire((await made()).id)).status, 'expired');
  }
});
