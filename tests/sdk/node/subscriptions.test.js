'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const {
  stripe, has, publishable, priced, card, customerWith, subscribed, intentOf, refused, all, cancel, charged, chargeOf, chargeIdOf,
  intentIdOf, itemOf, payable, periodOf, priceOf, secretOf, snapshotOf, subscriptionOf,
} = require('./support.js');

const MONTH_AT_LEAST = 28 * 86400;

test('a subscription with a working card is active and paid', async () => {
  const product = await stripe.products.create({ name: 'Gold', description: 'All of it', metadata: { tier: 'gold' } });
  assert.match(product.id, /^prod_/);
  assert.equal(product.active, true);
  assert.equal(product.livemode, false);
  const price = await stripe.prices.create({
    product: product.id, currency: 'usd', unit_amount: 2000, recurring: { interval: 'month' }, nickname: 'Monthly',
  });
  assert.match(price.id, /^price_/);
  assert.equal(price.type, 'recurring');
  assert.equal(price.unit_amount_decimal.toString(), '2000');
  assert.equal(price.recurring.interval_count, 1);
  const customer = await stripe.customers.create({ email: 'gold@example.com' });
  assert.match(customer.id, /^cus_/);
  const method = await stripe.paymentMethods.attach('pm_card_visa', { customer: customer.id });
  assert.match(method.id, /^pm_/);
  assert.notEqual(method.id, 'pm_card_visa');
  assert.equal(method.customer, customer.id);
  assert.equal(method.card.brand, 'visa');
  assert.equal(method.card.last4, '4242');
  const updated = await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: method.id } });
  assert.equal(updated.invoice_settings.default_payment_method, method.id);

  const subscription = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id, quantity: 2 }] });
  assert.match(subscription.id, /^sub_/);
  assert.equal(subscription.status, 'active');
  if (has.basil) assert.equal(subscription.billing_mode.type, 'flexible');
  assert.equal(subscription.collection_method, 'charge_automatically');
  if (has.details) assert.equal(subscription.currency, 'usd');
  assert.equal(subscription.start_date, subscription.created);
  assert.equal(subscription.billing_cycle_anchor, subscription.created);
  const [item] = subscription.items.data;
  assert.equal(item.quantity, 2);
  assert.equal(item.price.id, price.id);
  const period = periodOf(subscription);
  assert.equal(period.current_period_start, subscription.created);
  assert.ok(period.current_period_end - period.current_period_start >= MONTH_AT_LEAST);
  assert.match(subscription.latest_invoice, /^in_/);

  const invoice = await stripe.invoices.retrieve(subscription.latest_invoice, { expand: payable() });
  assert.equal(invoice.status, 'paid');
  assert.equal(invoice.billing_reason, 'subscription_create');
  assert.equal(invoice.total, 4000);
  assert.equal(invoice.amount_due, 4000);
  assert.equal(invoice.amount_paid, 4000);
  assert.equal(invoice.amount_remaining, 0);
  assert.equal(invoice.attempt_count, 1);
  assert.equal(invoice.attempted, true);
  assert.equal(invoice.period_start, invoice.period_end);
  assert.equal(subscriptionOf(invoice), subscription.id);
  assert.match(invoice.number, /^[A-Z0-9]{1,12}-\d{4,}$/);
  assert.ok(invoice.status_transitions.finalized_at && invoice.status_transitions.paid_at);
  const [line] = invoice.lines.data;
  assert.equal(line.amount, 4000);
  assert.equal(line.quantity, 2);
  assert.equal(line.description, '2 × Gold (at $20.00 / month)');
  assert.equal(priceOf(line), price.id);
  assert.equal(itemOf(line), item.id);
  assert.deepEqual([line.period.start, line.period.end], [period.current_period_start, period.current_period_end]);

  if (has.basil) {
    const [payment] = invoice.payments.data;
    assert.deepEqual([payment.status, payment.is_default, payment.amount_paid], ['paid', true, 4000]);
  } else {
    assert.deepEqual([invoice.paid, invoice.paid_out_of_band], [true, false]);
    assert.equal(invoice.charge, chargeIdOf(invoice.payment_intent));
  }
  const intent = await stripe.paymentIntents.retrieve(intentIdOf(invoice), { expand: charged });
  assert.equal(intent.status, 'succeeded');
  assert.equal(intent.amount_received, 4000);
  assert.equal(intent.customer, customer.id);
  assert.equal(intent.payment_method, method.id);
  assert.equal(intent.description, 'Subscription creation');
  assert.equal(intent.setup_future_usage, 'off_session');
  assert.equal(chargeOf(intent).object, 'charge');
  assert.equal(chargeOf(intent).status, 'succeeded');
  assert.equal(chargeOf(intent).paid, true);
  assert.equal(chargeOf(intent).amount, 4000);
  const charge = await stripe.charges.retrieve(chargeOf(intent).id);
  assert.equal(charge.payment_intent, intent.id);
  assert.equal(charge.payment_method_details.card.last4, '4242');
  assert.equal((await stripe.customers.retrieve(customer.id)).currency, 'usd');
});

test('retrieve and expand', async () => {
  const { product, price, customer, subscription } = await subscribed();
  assert.equal(subscription.latest_invoice.object, 'invoice');
  if (has.basil) assert.equal(subscription.latest_invoice.payments.data[0].object, 'invoice_payment');
  else assert.equal(subscription.latest_invoice.payment_intent.object, 'payment_intent');
  const plain = await stripe.subscriptions.retrieve(subscription.id);
  assert.equal(plain.customer, customer.id);
  assert.equal(plain.items.data[0].price.product, product.id);
  assert.equal(plain.items.url, `/v1/subscription_items?subscription=${subscription.id}`);
  const invoice = await stripe.invoices.retrieve(plain.latest_invoice);
  assert.equal(invoice.payments, undefined);
  assert.equal(invoice.confirmation_secret, undefined);
  const expanded = await stripe.subscriptions.retrieve(subscription.id, {
    expand: ['customer', 'items.data.price.product', 'latest_invoice', 'customer.invoice_settings.default_payment_method'],
  });
  assert.equal(expanded.customer.id, customer.id);
  assert.equal(expanded.customer.invoice_settings.default_payment_method.card.brand, 'visa');
  assert.equal(expanded.items.data[0].price.product.name, product.name);
  assert.equal(expanded.latest_invoice.id, plain.latest_invoice);
  const listed = await stripe.subscriptions.list({ customer: customer.id, expand: ['data.customer', 'data.items.data.price.product'] });
  assert.equal(listed.data[0].customer.email, customer.email);
  assert.equal(listed.data[0].items.data[0].price.product.id, product.id);
  const withSubscriptions = await stripe.customers.retrieve(customer.id, { expand: ['subscriptions'] });
  assert.equal(withSubscriptions.subscriptions.data[0].id, subscription.id);
  const items = await stripe.subscriptionItems.list({ subscription: subscription.id });
  assert.equal(items.data.length, 1);
  const item = await stripe.subscriptionItems.retrieve(items.data[0].id);
  assert.equal(item.price.id, price.id);
  assert.equal(item.subscription, subscription.id);
});

test('expansion is refused when it leads nowhere or too deep', async () => {
  const { customer } = await customerWith(null);
  await refused(stripe.customers.retrieve(customer.id, { expand: ['email.foo'] }), 'StripeInvalidRequestError', {
    statusCode: 400, message: /^This property cannot be expanded \(/,
  });
  await refused(stripe.customers.list({ expand: ['default_source'] }), 'StripeInvalidRequestError', {
    statusCode: 400, message: /You may want to try expanding 'data\.default_source' instead/,
  });
  await refused(
    stripe.customers.retrieve(customer.id, { expand: ['subscriptions.data.latest_invoice.customer.invoice_settings.default_payment_method.customer'] }),
    'StripeInvalidRequestError', { code: 'property_expansion_max_depth', statusCode: 400 },
  );
});

test('lists paginate by themselves', async () => {
  const { price } = await priced(500);
  const { customer } = await customerWith();
  const ids = [];
  for (let i = 0; i < 7; i++) {
    ids.push((await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] })).id);
  }
  const found = await all(stripe.subscriptions.list({ price: price.id, limit: 2 }));
  assert.deepEqual(found.map((each) => each.id), ids.slice().reverse());
  const page = await stripe.subscriptions.list({ price: price.id, limit: 3, starting_after: ids[5] });
  assert.deepEqual(page.data.map((each) => each.id), [ids[4], ids[3], ids[2]]);
  assert.equal(page.has_more, true);
  assert.equal(page.url, '/v1/subscriptions');
  const before = await stripe.subscriptions.list({ price: price.id, limit: 2, ending_before: ids[2] });
  assert.deepEqual(before.data.map((each) => each.id), [ids[4], ids[3]]);
  assert.equal(before.has_more, true);
  const backwards = await all(stripe.subscriptions.list({ price: price.id, limit: 2, ending_before: ids[0] }));
  assert.deepEqual(backwards.map((each) => each.id), ids.slice(1));
});

test('metadata is merged by key and unset by empty text', async () => {
  const { subscription } = await subscribed('pm_card_visa', { metadata: { a: '1', b: '2' } });
  assert.deepEqual(subscription.metadata, { a: '1', b: '2' });
  if (snapshotOf(subscription.latest_invoice)) assert.deepEqual(snapshotOf(subscription.latest_invoice), { a: '1', b: '2' });
  const merged = await stripe.subscriptions.update(subscription.id, { metadata: { b: '', c: '3' } });
  assert.deepEqual(merged.metadata, { a: '1', c: '3' });
  const same = await stripe.subscriptions.update(subscription.id, {});
  assert.deepEqual(same.metadata, { a: '1', c: '3' });
  const emptied = await stripe.subscriptions.update(subscription.id, { metadata: '' });
  assert.deepEqual(emptied.metadata, {});
});

test('the default payment method can be replaced', async () => {
  const { subscription, customer } = await subscribed();
  assert.equal(subscription.default_payment_method, null);
  const other = await stripe.paymentMethods.attach('pm_card_mastercard', { customer: customer.id });
  const updated = await stripe.subscriptions.update(subscription.id, { default_payment_method: other.id, expand: ['default_payment_method'] });
  assert.equal(updated.default_payment_method.card.brand, 'mastercard');
  const detached = await stripe.paymentMethods.detach(other.id);
  assert.equal(detached.customer, null);
  assert.equal((await stripe.subscriptions.retrieve(subscription.id)).default_payment_method, null);
});

test('cancel at period end, and its undo', async () => {
  const { subscription } = await subscribed();
  const end = periodOf(subscription).current_period_end;
  const ending = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
  assert.equal(ending.status, 'active');
  assert.equal(ending.cancel_at_period_end, true);
  assert.equal(ending.cancel_at, end);
  assert.ok(ending.canceled_at >= subscription.created);
  assert.equal(ending.ended_at, null);
  if (has.details) assert.equal(ending.cancellation_details.reason, 'cancellation_requested');
  const kept = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: false });
  assert.equal(kept.cancel_at_period_end, false);
  assert.equal(kept.cancel_at, null);
  assert.equal(kept.canceled_at, null);
  if (has.details) assert.equal(kept.cancellation_details.reason, null);
});

test('cancel now, once', async () => {
  const { subscription, customer } = await subscribed();
  const canceled = await cancel(subscription.id, {
    cancellation_details: { comment: 'Too dear', feedback: 'too_expensive' },
  });
  assert.equal(canceled.object, 'subscription');
  assert.equal(canceled.status, 'canceled');
  assert.ok(canceled.canceled_at && canceled.ended_at);
  if (has.details) {
    const { comment, feedback, reason } = canceled.cancellation_details;
    assert.deepEqual([comment, feedback, reason], ['Too dear', 'too_expensive', 'cancellation_requested']);
  }
  await refused(cancel(subscription.id), 'StripeInvalidRequestError', {
    statusCode: 404, code: 'resource_missing', message: `No such subscription: '${subscription.id}'`,
  });
  const noted = await stripe.subscriptions.update(subscription.id, { metadata: { note: 'kept' } });
  assert.equal(noted.metadata.note, 'kept');
  await refused(stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true }), 'StripeInvalidRequestError', {
    statusCode: 400, code: 'invalid_canceled_subscription_fields',
  });
  assert.equal((await stripe.subscriptions.list({ customer: customer.id })).data.length, 0);
  assert.equal((await stripe.subscriptions.list({ customer: customer.id, status: 'all' })).data.length, 1);
  assert.equal((await stripe.subscriptions.list({ customer: customer.id, status: 'canceled' })).data[0].id, subscription.id);
  assert.equal((await stripe.subscriptions.list({ customer: customer.id, status: 'ended' })).data[0].id, subscription.id);
});

test('default_incomplete, confirmed in the browser with the client secret', async () => {
  const { subscription, customer } = await subscribed(null, {
    payment_behavior: 'default_incomplete', payment_settings: { save_default_payment_method: 'on_subscription' },
  });
  assert.equal(subscription.status, 'incomplete');
  const invoice = subscription.latest_invoice;
  assert.equal(invoice.status, 'open');
  assert.equal(invoice.auto_advance, false);
  assert.equal(invoice.attempt_count, 0);
  const secret = secretOf(invoice);
  assert.match(secret, /^pi_[A-Za-z0-9]+_secret_[A-Za-z0-9]{25,}$/);
  const id = secret.split('_secret_')[0];
  assert.equal(intentIdOf(invoice), id);
  assert.equal((await intentOf(invoice)).status, 'requires_payment_method');

  const browser = publishable();
  await refused(browser.paymentIntents.retrieve(id), 'StripeInvalidRequestError', { statusCode: 400, code: 'parameter_missing', param: 'client_secret' });
  await refused(browser.paymentIntents.confirm(id, { client_secret: `${id}_secret_wrong`, payment_method: 'pm_card_visa' }),
    'StripeInvalidRequestError', { statusCode: 400, param: 'client_secret' });
  const seen = await browser.paymentIntents.retrieve(id, { client_secret: secret });
  assert.equal(seen.status, 'requires_payment_method');
  assert.equal(seen.metadata, undefined);
  const confirmed = await browser.paymentIntents.confirm(id, { client_secret: secret, payment_method: 'pm_card_visa', return_url: 'https://example.com/back' });
  assert.equal(confirmed.status, 'succeeded');

  const after = await stripe.subscriptions.retrieve(subscription.id, { expand: ['latest_invoice', 'default_payment_method'] });
  assert.equal(after.status, 'active');
  assert.equal(after.latest_invoice.id, invoice.id);
  assert.equal(after.latest_invoice.status, 'paid');
  assert.equal(after.default_payment_method.card.last4, '4242');
  assert.equal(after.default_payment_method.customer, customer.id);
  assert.equal(periodOf(after).current_period_start, subscription.created);
});

test('default_incomplete with a card at hand waits for the confirmation', async () => {
  const { subscription, method } = await subscribed('pm_card_visa', { payment_behavior: 'default_incomplete' });
  assert.equal(subscription.status, 'incomplete');
  const intent = await intentOf(subscription.latest_invoice);
  assert.equal(intent.status, 'requires_confirmation');
  assert.equal(intent.payment_method, method.id);
  assert.equal((await stripe.paymentIntents.confirm(intent.id)).status, 'succeeded');
  assert.equal((await stripe.subscriptions.retrieve(subscription.id)).status, 'active');
});

test('a card that fails every charge leaves the subscription incomplete', async () => {
  const { subscription, customer, method } = await subscribed('pm_card_chargeCustomerFail');
  assert.equal(method.card.last4, '0341');
  assert.equal(subscription.status, 'incomplete');
  assert.equal(subscription.latest_invoice.status, 'open');
  assert.equal(subscription.latest_invoice.attempt_count, 1);
  assert.equal(subscription.latest_invoice.next_payment_attempt, null);
  const intent = await intentOf(subscription.latest_invoice, charged);
  assert.equal(intent.status, 'requires_payment_method');
  assert.equal(intent.payment_method, null);
  assert.equal(intent.last_payment_error.type, 'card_error');
  assert.equal(intent.last_payment_error.code, 'card_declined');
  assert.equal(intent.last_payment_error.decline_code, 'generic_decline');
  assert.equal(intent.last_payment_error.payment_method.id, method.id);
  assert.equal(chargeOf(intent).status, 'failed');
  assert.equal(chargeOf(intent).failure_code, 'card_declined');
  assert.equal(intent.last_payment_error.charge, chargeOf(intent).id);

  await card(customer, 'pm_card_visa');
  const paid = await stripe.invoices.pay(subscription.latest_invoice.id);
  assert.equal(paid.status, 'paid');
  assert.equal((await stripe.subscriptions.retrieve(subscription.id)).status, 'active');
});

test('an incomplete subscription ends with its voided invoice', async () => {
  const { subscription } = await subscribed('pm_card_chargeCustomerFail');
  const invoice = await stripe.invoices.voidInvoice(subscription.latest_invoice.id);
  assert.equal(invoice.status, 'void');
  assert.equal((await stripe.subscriptions.retrieve(subscription.id)).status, 'incomplete_expired');
  const intent = await intentOf(invoice);
  assert.equal(intent.status, 'canceled');
  assert.equal(intent.cancellation_reason, 'void_invoice');
});

test('error_if_incomplete leaves nothing behind', async () => {
  const { price } = await priced();
  const { customer } = await customerWith('pm_card_chargeCustomerFail');
  await refused(
    stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }], payment_behavior: 'error_if_incomplete' }),
    'StripeCardError', { statusCode: 402, code: 'card_declined', decline_code: 'generic_decline' },
  );
  assert.equal((await stripe.subscriptions.list({ customer: customer.id, status: 'all' })).data.length, 0);
  assert.equal((await stripe.invoices.list({ customer: customer.id })).data.length, 0);
});

test('no payment method and money due is refused', async () => {
  const { price } = await priced();
  const { customer } = await customerWith(null);
  await refused(stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] }), 'StripeInvalidRequestError', {
    statusCode: 400, code: 'resource_missing', message: /^This customer has no attached payment source or default payment method\./,
  });
  assert.equal((await stripe.subscriptions.list({ customer: customer.id, status: 'all' })).data.length, 0);
});

test('a card that wants authentication leaves the subscription incomplete', async () => {
  const { subscription } = await subscribed('pm_card_authenticationRequired');
  assert.equal(subscription.status, 'incomplete');
  assert.equal(subscription.latest_invoice.status, 'open');
  const intent = await intentOf(subscription.latest_invoice);
  assert.equal(intent.status, 'requires_action');
  assert.ok(intent.next_action.type);
});

test('deleting the customer cancels the subscription and leaves a stub', async () => {
  const { subscription, customer } = await subscribed();
  const stub = await stripe.customers.del(customer.id);
  assert.deepEqual({ ...stub }, { id: customer.id, object: 'customer', deleted: true });
  assert.equal((await stripe.customers.retrieve(customer.id)).deleted, true);
  const after = await stripe.subscriptions.retrieve(subscription.id, { expand: ['customer'] });
  assert.equal(after.status, 'canceled');
  assert.equal(after.customer.deleted, true);
  await refused(stripe.customers.update(customer.id, { name: 'x' }), 'StripeInvalidRequestError', { code: 'resource_missing' });
});
