'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const {
  Stripe, stripe, has, client, publishable, unique, now, priced, customerWith, subscribed, refused, all, cancel, periodOf,
} = require('./support.js');

const INVALID = 'StripeInvalidRequestError';

/** A call that the SDK has no method for. */
function raw(method, path) {
  if (stripe.rawRequest) return stripe.rawRequest(method, path);
  const Resource = Stripe.StripeResource.extend({ path: '', call: Stripe.StripeResource.method({ method, fullPath: path }) });
  return new Resource(stripe).call();
}

test('unknown parameters', async () => {
  const error = await refused(stripe.customers.create({ foo: 'x' }), INVALID, {
    statusCode: 400, code: 'parameter_unknown', param: 'foo', message: /^Received unknown parameter: foo/,
  });
  assert.match(error.requestId, /^req_/);
  assert.match(error.doc_url, /parameter-unknown$/);
  await refused(stripe.customers.create({ foo: 'x', bar: 'y' }), INVALID, { code: 'parameter_unknown', message: /foo, bar|bar, foo/ });
  await refused(stripe.prices.create({ currency: 'usd', unit_amount: 1, recurring: { interval: 'month', bogus: 1 } }), INVALID, {
    code: 'parameter_unknown', param: 'recurring[bogus]',
  });
  await refused(stripe.subscriptions.create({ customer: 'cus_x', items: [{ price: 'price_x', bogus: 1 }] }), INVALID, {
    code: 'parameter_unknown', param: 'items[0][bogus]',
  });
  await refused(stripe.customers.list({ foo: 1 }), INVALID, { code: 'parameter_unknown', param: 'foo' });
  const typed = stripe.paymentIntents.create({ amount: 500, currency: 'usd', payment_method_types: ['card'] });
  if (has.endive) await refused(typed, INVALID, { statusCode: 400, code: 'payment_method_types_no_longer_supported' });
  else assert.deepEqual((await typed).payment_method_types, ['card']);
});

test('missing parameters', async () => {
  await refused(stripe.products.create({}), INVALID, { statusCode: 400, code: 'parameter_missing', param: 'name', message: 'Missing required param: name.' });
  await refused(stripe.prices.create({ unit_amount: 1 }), INVALID, { code: 'parameter_missing', param: 'currency' });
  await refused(stripe.subscriptions.create({ items: [{ price: 'price_x' }] }), INVALID, { code: 'parameter_missing', param: 'customer' });
  await refused(stripe.subscriptionItems.list({}), INVALID, { code: 'parameter_missing', param: 'subscription' });
});

test('wrong types', async () => {
  const { product } = await priced();
  await refused(stripe.prices.create({ product: product.id, currency: 'usd', unit_amount: 'abc' }), INVALID, {
    statusCode: 400, code: 'parameter_invalid_integer', param: 'unit_amount', message: 'Invalid integer: abc',
  });
  await refused(stripe.prices.create({ product: product.id, currency: 'usd', unit_amount: 1.5 }), INVALID, { code: 'parameter_invalid_integer', param: 'unit_amount' });
  await refused(stripe.products.create({ name: 'x', active: 'maybe' }), INVALID, { statusCode: 400, param: 'active', message: 'Invalid boolean: maybe' });
  await refused(stripe.products.create({ name: { a: 'b' } }), INVALID, { statusCode: 400, param: 'name', message: /^Invalid string: / });
  await refused(stripe.customers.create({ metadata: 'text' }), INVALID, { statusCode: 400, param: 'metadata' });
  await refused(stripe.customers.list({ limit: 'many' }), INVALID, { code: 'parameter_invalid_integer', param: 'limit' });
  await refused(stripe.subscriptions.list({ status: 'nope' }), INVALID, { statusCode: 400, param: 'status', message: /^Invalid status: must be one of / });
  await refused(stripe.prices.create({ product: product.id, currency: 'usd', unit_amount: 5, recurring: { interval: 'hour' } }), INVALID, { param: 'recurring[interval]' });
  await refused(stripe.subscriptions.create({ customer: '', items: [{ price: 'price_x' }] }), INVALID, { code: 'parameter_invalid_empty', param: 'customer' });
  await refused(stripe.products.create({ name: '' }), INVALID, { code: 'parameter_invalid_empty', param: 'name' });
});

test('unknown ids: 404 in the path, 400 in a parameter', async () => {
  await refused(stripe.customers.retrieve('cus_none'), INVALID, {
    statusCode: 404, code: 'resource_missing', param: 'customer', message: "No such customer: 'cus_none'",
  });
  await refused(stripe.products.retrieve('prod_none'), INVALID, { statusCode: 404, code: 'resource_missing', message: "No such product: 'prod_none'" });
  await refused(stripe.prices.retrieve('price_none'), INVALID, { statusCode: 404, code: 'resource_missing', param: 'price' });
  await refused(stripe.invoices.retrieve('in_none'), INVALID, { statusCode: 404, code: 'resource_missing', param: 'invoice' });
  await refused(stripe.subscriptions.retrieve('sub_none'), INVALID, { statusCode: 404, code: 'resource_missing', param: 'id' });
  await refused(stripe.paymentIntents.retrieve('pi_none'), INVALID, { statusCode: 404, code: 'resource_missing', param: 'intent', message: "No such payment_intent: 'pi_none'" });
  await refused(stripe.paymentMethods.retrieve('pm_none'), INVALID, { statusCode: 404, code: 'resource_missing', message: /^No such PaymentMethod: 'pm_none'/ });
  await refused(stripe.charges.retrieve('ch_none'), INVALID, { statusCode: 404, code: 'resource_missing', message: "No such charge: 'ch_none'" });
  const { price } = await priced();
  await refused(stripe.subscriptions.create({ customer: 'cus_none', items: [{ price: price.id }] }), INVALID, {
    statusCode: 400, code: 'resource_missing', param: 'customer', message: "No such customer: 'cus_none'",
  });
  const { customer } = await customerWith();
  await refused(stripe.subscriptions.create({ customer: customer.id, items: [{ price: 'price_none' }] }), INVALID, {
    statusCode: 400, code: 'resource_missing', param: 'items[0][price]', message: "No such price: 'price_none'",
  });
  await refused(stripe.customers.list({ starting_after: 'cus_none' }), INVALID, { statusCode: 400, code: 'resource_missing', param: 'starting_after' });
  await refused(raw('GET', '/v1/nope'), INVALID, { statusCode: 404, message: /^Unrecognized request URL \(GET: \/v1\/nope\)\./ });
});

test('keys', async () => {
  await refused(client('sk_test_wrongwrongwrong1234').customers.list(), 'StripeAuthenticationError', {
    statusCode: 401, message: /^Invalid API Key provided: sk_test_\*+1234/,
  });
  await assert.rejects(publishable().customers.list(), (error) => {
    assert.ok([401, 403].includes(error.statusCode));
    assert.match(error.message, /^This API call cannot be made with a publishable API key\./);
    return true;
  });
  const account = await (stripe.accounts.retrieveCurrent ?? stripe.accounts.retrieve).call(stripe.accounts);
  assert.match(account.id, /^acct_/);
  assert.equal((await stripe.balance.retrieve()).livemode, false);
});

test('metadata limits', async () => {
  const many = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${i}`, 'v']));
  await refused(stripe.customers.create({ metadata: many }), INVALID, { statusCode: 400 });
  await refused(stripe.customers.create({ metadata: { ['k'.repeat(41)]: 'v' } }), INVALID, { statusCode: 400 });
  await refused(stripe.customers.create({ metadata: { k: 'v'.repeat(501) } }), INVALID, { statusCode: 400 });
  const customer = await stripe.customers.create({ metadata: { a: '1', b: 'ünïcode & more = fun' } });
  assert.equal(customer.metadata.b, 'ünïcode & more = fun');
  const unset = await stripe.customers.update(customer.id, { metadata: { a: null } });
  assert.deepEqual({ ...unset.metadata }, { b: 'ünïcode & more = fun' });
});

test('fields are unset by empty text', async () => {
  const customer = await stripe.customers.create({
    email: 'x@example.com', name: 'X', phone: '123', description: 'd', address: { line1: 'Road 1', country: 'DE' },
  });
  assert.equal(customer.address.line1, 'Road 1');
  const bare = await stripe.customers.update(customer.id, { email: '', name: '', phone: '', description: '', address: '' });
  assert.deepEqual([bare.email, bare.name, bare.phone, bare.description, bare.address], [null, null, null, null, null]);
});

test('an idempotency key replays, and is only good for the same parameters', async () => {
  const idempotencyKey = unique('key');
  const email = `${idempotencyKey}@example.com`;
  const first = await stripe.customers.create({ email }, { idempotencyKey });
  const second = await stripe.customers.create({ email }, { idempotencyKey });
  assert.equal(second.id, first.id);
  assert.equal(second.lastResponse.headers['idempotent-replayed'], 'true');
  assert.equal(second.lastResponse.headers['original-request'], first.lastResponse.requestId);
  assert.notEqual(second.lastResponse.requestId, first.lastResponse.requestId);
  assert.equal(second.lastResponse.headers['idempotency-key'], idempotencyKey);
  assert.equal((await stripe.customers.list({ email })).data.length, 1);
  await refused(stripe.customers.create({ email, name: 'Other' }, { idempotencyKey }), 'StripeIdempotencyError', {
    statusCode: 400, rawType: 'idempotency_error',
    message: /^Keys for idempotent requests can only be used with the same parameters they were first used with\./,
  });
  await refused(stripe.products.create({ name: email }, { idempotencyKey }), 'StripeIdempotencyError');
});

test('concurrent twins make one object', async () => {
  const idempotencyKey = unique('twin');
  const email = `${idempotencyKey}@example.com`;
  const made = await Promise.all(Array.from({ length: 4 }, () => stripe.customers.create({ email }, { idempotencyKey })));
  assert.equal(new Set(made.map((each) => each.id)).size, 1);
  assert.equal((await stripe.customers.list({ email })).data.length, 1);
});

test('a declined payment is replayed too; a refused form is not', async () => {
  const { customer } = await customerWith(null);
  const idempotencyKey = unique('decline');
  const params = {
    amount: 900, currency: 'usd', customer: customer.id, confirm: true, payment_method: 'pm_card_visa_chargeDeclined',
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
  };
  const one = await refused(stripe.paymentIntents.create(params, { idempotencyKey }), 'StripeCardError', { statusCode: 402 });
  const two = await refused(stripe.paymentIntents.create(params, { idempotencyKey }), 'StripeCardError', { statusCode: 402 });
  assert.equal(two.payment_intent.id, one.payment_intent.id);
  assert.equal((await stripe.paymentIntents.list({ customer: customer.id })).data.length, 1);
  const key = unique('form');
  await refused(stripe.products.create({ nome: 'x' }, { idempotencyKey: key }), INVALID, { code: 'parameter_unknown' });
  assert.equal((await stripe.products.create({ name: 'x' }, { idempotencyKey: key })).name, 'x');
});

test('customers by email and time', async () => {
  const email = `${unique('Find')}@example.com`;
  const { customer: one } = await customerWith(null, { email });
  const { customer: two } = await customerWith(null, { email });
  const by = async (filter) => (await stripe.customers.list(filter)).data.map((each) => each.id);
  assert.deepEqual(await by({ email }), [two.id, one.id]);
  assert.deepEqual(await by({ email: email.toLowerCase() }), [], 'case counts');
  assert.deepEqual(await by({ email, created: { gte: one.created, lte: two.created } }), [two.id, one.id]);
  assert.deepEqual(await by({ email, created: { gt: now() + 5 } }), []);
  assert.deepEqual(await by({ email, created: { lt: one.created } }), []);
  assert.deepEqual(await by({ email, limit: 0 }), [two.id], 'the limit is clamped');
  assert.deepEqual(await by({ email, limit: 1000 }), [two.id, one.id]);
  const page = await stripe.customers.list({ email, limit: 1 });
  assert.deepEqual([page.object, page.has_more, page.url], ['list', true, '/v1/customers']);
  await refused(stripe.customers.list({ starting_after: one.id, ending_before: two.id }), INVALID, {
    statusCode: 400, message: 'Received both starting_after and ending_before parameters. Please pass in only one.',
  });
});

test('subscriptions by status, price, customer', async () => {
  const { subscription, customer, price } = await subscribed();
  const second = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  await cancel(second.id);
  const by = async (filter) => (await stripe.subscriptions.list(filter)).data.map((each) => each.id);
  assert.deepEqual(await by({ customer: customer.id }), [subscription.id]);
  assert.deepEqual(await by({ price: price.id }), [subscription.id]);
  assert.deepEqual(await by({ price: price.id, status: 'active' }), [subscription.id]);
  assert.deepEqual(await by({ price: price.id, status: 'canceled' }), [second.id]);
  assert.deepEqual(await by({ price: price.id, status: 'all' }), [second.id, subscription.id]);
  assert.deepEqual(await by({ price: price.id, status: 'past_due' }), []);
  assert.deepEqual(await by({ customer: customer.id, collection_method: 'send_invoice' }), []);
  const end = periodOf(subscription).current_period_end;
  assert.deepEqual(await by({ price: price.id, current_period_end: { gte: end, lte: end } }), [subscription.id]);
});

test('products and prices', async () => {
  const { product, price } = await priced(700, { lookup_key: unique('look'), metadata: { a: '1' } });
  assert.deepEqual((await stripe.products.list({ ids: [product.id] })).data.map((each) => each.id), [product.id]);
  assert.deepEqual((await stripe.prices.list({ lookup_keys: [price.lookup_key], expand: ['data.product'] })).data.map((each) => each.product.name), [product.name]);
  assert.equal((await stripe.prices.list({ product: product.id, type: 'one_time' })).data.length, 0);
  assert.equal((await stripe.prices.list({ product: product.id, recurring: { interval: 'month' } })).data.length, 1);
  const archived = await stripe.prices.update(price.id, { active: false, nickname: 'Old' });
  assert.equal(archived.active, false);
  assert.equal(archived.nickname, 'Old');
  const { customer } = await customerWith();
  await refused(stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] }), INVALID, { statusCode: 400, param: 'items[0][price]' });
  await refused(stripe.products.del(product.id), INVALID, { statusCode: 400 });
  const lonely = await stripe.products.create({ name: 'Lonely', id: unique('own').replaceAll('-', '_') });
  await refused(stripe.products.create({ name: 'Lonely', id: lonely.id }), INVALID, { statusCode: 400, code: 'resource_already_exists' });
  assert.equal((await stripe.products.del(lonely.id)).deleted, true);
  await refused(stripe.products.retrieve(lonely.id), INVALID, { statusCode: 404, code: 'resource_missing' });
  const whole = await stripe.products.create({ name: 'Whole', default_price_data: { currency: 'eur', unit_amount: 900, recurring: { interval: 'year' } }, expand: ['default_price'] });
  assert.equal(whole.default_price.unit_amount, 900);
  assert.equal(whole.default_price.currency, 'eur');
  const inline = await stripe.prices.create({ currency: 'usd', unit_amount: 100, product_data: { name: 'Inline' }, expand: ['product'] });
  assert.equal(inline.product.name, 'Inline');
});

test('charges by customer', async () => {
  const { customer } = await subscribed();
  const charges = await all(stripe.charges.list({ customer: customer.id }));
  assert.equal(charges.length, 1);
  assert.equal(charges[0].refunded, false);
});
