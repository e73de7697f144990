'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { stripe, publishable, customerWith, refused, authenticate, only, since, charged, chargeOf, chargeIdOf } = require('./support.js');

const cards = { automatic_payment_methods: { enabled: true, allow_redirects: 'never' } };
const intend = (more = {}) => stripe.paymentIntents.create({ amount: 2000, currency: 'usd', ...cards, ...more });

test('attach, list, clone nothing twice, detach', async () => {
  const { customer, method } = await customerWith();
  const listed = await stripe.paymentMethods.list({ customer: customer.id, type: 'card' });
  assert.deepEqual(listed.data.map((each) => each.id), [method.id]);
  const own = await stripe.customers.listPaymentMethods(customer.id);
  assert.deepEqual(own.data.map((each) => each.id), [method.id]);
  const again = await stripe.paymentMethods.attach('pm_card_visa', { customer: customer.id });
  assert.notEqual(again.id, method.id);
  assert.equal(again.card.fingerprint, method.card.fingerprint);
  await stripe.paymentMethods.detach(method.id);
  assert.equal((await stripe.customers.retrieve(customer.id)).invoice_settings.default_payment_method, null);
  await refused(stripe.paymentMethods.attach(method.id, { customer: customer.id }), 'StripeInvalidRequestError', { statusCode: 400 });
});

test('a card by its number', async () => {
  const { customer } = await customerWith(null);
  const method = await stripe.paymentMethods.create({
    type: 'card', card: { number: '5555555555554444', exp_month: 12, exp_year: 2034, cvc: '314' }, billing_details: { name: 'Ada' },
  });
  assert.equal(method.customer, null);
  assert.equal(method.card.brand, 'mastercard');
  assert.equal(method.card.exp_year, 2034);
  assert.equal(method.billing_details.name, 'Ada');
  const attached = await stripe.paymentMethods.attach(method.id, { customer: customer.id });
  assert.equal(attached.id, method.id);
  const byToken = await publishable().paymentMethods.create({ type: 'card', card: { token: 'tok_visa' } });
  assert.equal(byToken.card.last4, '4242');
  await refused(
    stripe.paymentMethods.create({ type: 'card', card: { number: '4242424242424241', exp_month: 12, exp_year: 2034, cvc: '314' } }),
    'StripeCardError', { statusCode: 402, code: 'incorrect_number' },
  );
});

test('declined cards cannot be attached', async () => {
  const { customer } = await customerWith(null);
  for (const [token, code, decline] of [
    ['pm_card_visa_chargeDeclined', 'card_declined', 'generic_decline'],
    ['pm_card_visa_chargeDeclinedInsufficientFunds', 'card_declined', 'insufficient_funds'],
    ['pm_card_visa_chargeDeclinedLostCard', 'card_declined', 'lost_card'],
    ['pm_card_chargeDeclinedExpiredCard', 'expired_card', undefined],
    ['pm_card_chargeDeclinedIncorrectCvc', 'incorrect_cvc', undefined],
    ['pm_card_chargeDeclinedProcessingError', 'processing_error', undefined],
  ]) {
    const wanted = { statusCode: 402, code };
    if (decline) wanted.decline_code = decline;
    await refused(stripe.paymentMethods.attach(token, { customer: customer.id }), 'StripeCardError', wanted);
  }
  assert.equal((await stripe.paymentMethods.list({ customer: customer.id })).data.length, 0);
});

test('what is reserved becomes more, and its customer authenticates where that is asked for', only(stripe.paymentIntents.incrementAuthorization), async () => {
  const options = { request_incremental_authorization: 'if_available', request_three_d_secure: 'any', capture_method: 'manual' };
  const intent = await intend({
    payment_method: 'pm_card_threeDSecureOptional', confirm: true, payment_method_options: { card: options },
    mandate_data: { customer_acceptance: { type: 'online', online: { ip_address: '203.0.113.7', user_agent: 'Browser' } } },
  });
  assert.equal(intent.status, 'requires_action');
  assert.equal(intent.payment_method_options.card.request_three_d_secure, 'any');
  assert.equal(intent.payment_method_options.card.capture_method, 'manual');
  await authenticate(intent, 'succeed');
  const more = await stripe.paymentIntents.incrementAuthorization(intent.id, { amount: 2500, metadata: { night: '2' } });
  assert.equal(more.amount_capturable, 2500);
  assert.equal((await stripe.paymentIntents.capture(intent.id)).amount_received, 2500);
  await refused(stripe.paymentIntents.incrementAuthorization(intent.id, { amount: 3000 }), 'StripeInvalidRequestError', { statusCode: 400 });
});

test('create, update, confirm', async () => {
  const { customer, method } = await customerWith();
  const intent = await intend({ customer: customer.id, description: 'One', metadata: { order: '7' } });
  assert.match(intent.id, /^pi_/);
  assert.equal(intent.status, 'requires_payment_method');
  assert.equal(intent.capture_method, since('2024-04-10') ? 'automatic_async' : 'automatic');
  assert.match(intent.client_secret, new RegExp(`^${intent.id}_secret_`));
  const updated = await stripe.paymentIntents.update(intent.id, { amount: 2500, payment_method: method.id });
  assert.equal(updated.amount, 2500);
  assert.equal(updated.status, 'requires_confirmation');
  const paid = await stripe.paymentIntents.confirm(intent.id, { expand: [...charged, 'payment_method'] });
  assert.equal(paid.status, 'succeeded');
  assert.equal(paid.amount_received, 2500);
  assert.equal(paid.payment_method.id, method.id);
  assert.equal(chargeOf(paid).captured, true);
  assert.deepEqual({ ...chargeOf(paid).metadata }, { order: '7' });
  const charges = await stripe.charges.list({ payment_intent: intent.id });
  assert.deepEqual(charges.data.map((each) => each.id), [chargeOf(paid).id]);
  const listed = await stripe.paymentIntents.list({ customer: customer.id });
  assert.deepEqual(listed.data.map((each) => each.id), [intent.id]);
  await refused(stripe.paymentIntents.confirm(intent.id), 'StripeInvalidRequestError', {
    statusCode: 400, code: 'payment_intent_unexpected_state',
    message: 'You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.',
  });
  await refused(stripe.paymentIntents.cancel(intent.id), 'StripeInvalidRequestError', {
    statusCode: 400, code: 'payment_intent_unexpected_state',
    message: /^You cannot cancel this PaymentIntent because it has a status of succeeded\./,
  });
});

test('confirm at once', async () => {
  const intent = await intend({ confirm: true, payment_method: 'pm_card_visa' });
  assert.equal(intent.status, 'succeeded');
  assert.match(chargeIdOf(intent), /^ch_/);
});

test('errors of state carry the intent', async () => {
  const intent = await intend({ confirm: true, payment_method: 'pm_card_visa' });
  for (const call of [
    () => stripe.paymentIntents.confirm(intent.id),
    () => stripe.paymentIntents.cancel(intent.id),
    () => stripe.paymentIntents.capture(intent.id),
  ]) {
    const error = await refused(call(), 'StripeInvalidRequestError', { code: 'payment_intent_unexpected_state' });
    assert.equal(error.payment_intent?.id, intent.id);
  }
});

test('confirm without a payment method is refused', async () => {
  const intent = await intend();
  await refused(stripe.paymentIntents.confirm(intent.id), 'StripeInvalidRequestError', {
    statusCode: 400, code: 'payment_intent_unexpected_state',
    message: /^You cannot confirm this PaymentIntent because it's missing a payment method\./,
  });
});

test('authorise, then capture a part', async () => {
  const intent = await intend({ capture_method: 'manual', confirm: true, payment_method: 'pm_card_visa', expand: charged });
  assert.equal(intent.status, 'requires_capture');
  assert.equal(intent.amount_capturable, 2000);
  assert.equal(intent.amount_received, 0);
  assert.equal(chargeOf(intent).captured, false);
  const captured = await stripe.paymentIntents.capture(intent.id, { amount_to_capture: 1500, expand: charged });
  assert.equal(captured.status, 'succeeded');
  assert.equal(captured.amount_capturable, 0);
  assert.equal(captured.amount_received, 1500);
  assert.equal(chargeOf(captured).captured, true);
  assert.equal(chargeOf(captured).amount_captured, 1500);
  await refused(stripe.paymentIntents.capture(intent.id), 'StripeInvalidRequestError', {
    code: 'payment_intent_unexpected_state', message: /could not be captured because it has a status of succeeded\./,
  });
});

test('capture of more than was authorised is refused', async () => {
  const intent = await intend({ capture_method: 'manual', confirm: true, payment_method: 'pm_card_visa' });
  await refused(stripe.paymentIntents.capture(intent.id, { amount_to_capture: 2001 }), 'StripeInvalidRequestError', { statusCode: 400 });
  assert.equal((await stripe.paymentIntents.retrieve(intent.id)).status, 'requires_capture');
});

test('cancel', async () => {
  const intent = await intend();
  const canceled = await stripe.paymentIntents.cancel(intent.id, { cancellation_reason: 'abandoned' });
  assert.equal(canceled.status, 'canceled');
  assert.equal(canceled.cancellation_reason, 'abandoned');
  assert.ok(canceled.canceled_at >= intent.created);
  await refused(stripe.paymentIntents.cancel(intent.id), 'StripeInvalidRequestError', { statusCode: 400, code: 'payment_intent_unexpected_state' });
  const authorised = await intend({ capture_method: 'manual', confirm: true, payment_method: 'pm_card_visa' });
  const released = await stripe.paymentIntents.cancel(authorised.id);
  assert.equal(released.status, 'canceled');
  assert.equal(released.amount_capturable, 0);
});

test('a decline keeps the intent, and another card pays it', async () => {
  const intent = await intend();
  const error = await refused(stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa_chargeDeclinedInsufficientFunds' }),
    'StripeCardError', { statusCode: 402, code: 'card_declined', decline_code: 'insufficient_funds', message: 'Your card has insufficient funds.' });
  assert.equal(error.payment_intent.id, intent.id);
  assert.match(error.charge, /^ch_/);
  assert.match(error.doc_url, /card-declined$/);
  const declined = await stripe.paymentIntents.retrieve(intent.id);
  assert.equal(declined.status, 'requires_payment_method');
  assert.equal(declined.payment_method, null);
  assert.equal(declined.last_payment_error.decline_code, 'insufficient_funds');
  const paid = await stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa' });
  assert.equal(paid.status, 'succeeded');
  assert.equal(paid.last_payment_error, null);
  const charges = await stripe.charges.list({ payment_intent: intent.id });
  assert.deepEqual(charges.data.map((each) => each.status), ['succeeded', 'failed']);
});

test('every decline has its code', async () => {
  for (const [token, code, decline] of [
    ['pm_card_visa_chargeDeclined', 'card_declined', 'generic_decline'],
    ['pm_card_visa_chargeDeclinedStolenCard', 'card_declined', 'stolen_card'],
    ['pm_card_visa_chargeDeclinedVelocityLimitExceeded', 'card_declined', 'card_velocity_exceeded'],
    ['pm_card_chargeDeclinedExpiredCard', 'expired_card', undefined],
    ['pm_card_chargeDeclinedIncorrectCvc', 'incorrect_cvc', undefined],
    ['pm_card_chargeDeclinedProcessingError', 'processing_error', undefined],
    ['pm_card_chargeCustomerFail', 'card_declined', 'generic_decline'],
  ]) {
    const wanted = { statusCode: 402, code };
    if (decline) wanted.decline_code = decline;
    await refused(intend({ confirm: true, payment_method: token }), 'StripeCardError', wanted);
  }
});

test('authentication required', async () => {
  const intent = await intend({ confirm: true, payment_method: 'pm_card_authenticationRequired' });
  assert.equal(intent.status, 'requires_action');
  assert.equal(intent.next_action.type, 'use_stripe_sdk');
  assert.equal((await stripe.paymentIntents.cancel(intent.id)).status, 'canceled');

  const { customer, method } = await customerWith('pm_card_authenticationRequired');
  const error = await refused(
    intend({ customer: customer.id, confirm: true, off_session: true, payment_method: method.id }),
    'StripeCardError', { statusCode: 402, code: 'authentication_required' },
  );
  const left = await stripe.paymentIntents.retrieve(error.payment_intent.id);
  assert.equal(left.status, 'requires_payment_method');
  assert.equal(left.last_payment_error.code, 'authentication_required');
  assert.equal(left.last_payment_error.payment_method.id, method.id);
});

test('setup_future_usage saves the card', async () => {
  const { customer } = await customerWith(null);
  const intent = await intend({ customer: customer.id, confirm: true, payment_method: 'pm_card_visa', setup_future_usage: 'off_session' });
  const saved = await stripe.paymentMethods.list({ customer: customer.id });
  assert.deepEqual(saved.data.map((each) => each.id), [intent.payment_method]);
});

test('amounts are checked', async () => {
  await refused(intend({ amount: 49 }), 'StripeInvalidRequestError', { statusCode: 400, code: 'amount_too_small' });
  await refused(intend({ amount: 100000000 }), 'StripeInvalidRequestError', { statusCode: 400, code: 'amount_too_large' });
  await refused(intend({ amount: -5 }), 'StripeInvalidRequestError', { statusCode: 400, param: 'amount' });
  await refused(intend({ currency: 'xyz' }), 'StripeInvalidRequestError', { statusCode: 400, param: 'currency', message: /^Invalid currency: xyz\./ });
  await refused(stripe.paymentIntents.create({ currency: 'usd' }), 'StripeInvalidRequestError', { code: 'parameter_missing', param: 'amount' });
});

test('authentication completes a payment, or fails it', async () => {
  const waiting = await intend({
    confirm: true, payment_method: 'pm_card_authenticationRequired', return_url: 'https://shop.example/done',
  });
  assert.equal(waiting.next_action.type, 'redirect_to_url');
  const page = await fetch(waiting.next_action.redirect_to_url.url);
  assert.match(await page.text(), /value="succeed"/);
  await authenticate(waiting, 'succeed');
  assert.equal((await stripe.paymentIntents.retrieve(waiting.id)).status, 'succeeded');

  const again = await intend({ confirm: true, payment_method: 'pm_card_authenticationRequired' });
  await authenticate(again, 'fail');
  const failed = await stripe.paymentIntents.retrieve(again.id);
  assert.equal(failed.status, 'requires_payment_method');
  assert.equal(failed.last_payment_error.code, 'payment_intent_authentication_failure');
});

test('setup intents keep cards', async () => {
  const { customer } = await customerWith(null);
  const setup = await stripe.setupIntents.create({ customer: customer.id });
  assert.equal(setup.status, 'requires_payment_method');
  const done = await stripe.setupIntents.confirm(setup.id, { payment_method: 'pm_card_visa' });
  assert.equal(done.status, 'succeeded');
  assert.deepEqual((await stripe.paymentMethods.list({ customer: customer.id })).data.map((each) => each.id), [done.payment_method]);
  const error = await refused(
    stripe.setupIntents.create({ customer: customer.id, confirm: true, payment_method: 'pm_card_visa_chargeDeclined' }),
    'StripeCardError', { statusCode: 402, code: 'card_declined' },
  );
  assert.equal(error.setup_intent.status, 'requires_payment_method');
  const waiting = await stripe.setupIntents.create({
    customer: customer.id, confirm: true, payment_method: 'pm_card_authenticationRequired',
  });
  assert.equal(waiting.status, 'requires_action');
  await authenticate(waiting, 'succeed');
  const listed = await stripe.setupIntents.list({ customer: customer.id });
  assert.deepEqual(listed.data.map((each) => each.status), ['succeeded', 'requires_payment_method', 'succeeded']);
  assert.equal((await stripe.setupIntents.cancel(error.setup_intent.id)).status, 'canceled');
});

test('refunds, in parts and in full', async () => {
  const intent = await intend({ confirm: true, payment_method: 'pm_card_visa' });
  const part = await stripe.refunds.create({ payment_intent: intent.id, amount: 500, reason: 'duplicate' });
  assert.equal(part.status, 'succeeded');
  await refused(stripe.refunds.create({ charge: chargeIdOf(intent), amount: 1501 }), 'StripeInvalidRequestError', { param: 'amount' });
  const rest = await stripe.refunds.create({ charge: chargeIdOf(intent) });
  assert.equal(rest.amount, 1500);
  const charge = await stripe.charges.retrieve(chargeIdOf(intent), { expand: ['refunds'] });
  assert.ok(charge.refunded);
  assert.deepEqual(charge.refunds.data.map((each) => each.id), [rest.id, part.id]);
  await refused(stripe.refunds.create({ charge: charge.id }), 'StripeInvalidRequestError', { code: 'charge_already_refunded' });
  assert.deepEqual((await stripe.refunds.update(part.id, { metadata: { order: '7' } })).metadata, { order: '7' });
  assert.equal((await stripe.refunds.list({ payment_intent: intent.id })).data.length, 2);
});

test('a charge without an intent', async () => {
  const charge = await stripe.charges.create({ amount: 2000, currency: 'usd', source: 'tok_visa', capture: false });
  assert.equal(charge.payment_intent, null);
  assert.equal(charge.source.last4, '4242');
  const captured = await stripe.charges.capture(charge.id, { amount: 1500, receipt_email: 'ada@example.com' });
  assert.deepEqual([captured.captured, captured.amount_refunded, captured.receipt_email], [true, 500, 'ada@example.com']);
  await refused(
    stripe.charges.create({ amount: 2000, currency: 'usd', source: 'tok_chargeDeclined' }),
    'StripeCardError', { statusCode: 402, code: 'card_declined' },
  );
});
