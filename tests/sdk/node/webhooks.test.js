'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const {
  Stripe, stripe, has, major, pin, unique, priced, customerWith, subscribed, refused, until, sink, all, cancel,
} = require('./support.js');

test('endpoints: create, retrieve, update, list, delete', async () => {
  const made = await stripe.webhookEndpoints.create({
    url: 'http://127.0.0.1:9/none', enabled_events: ['customer.created', 'invoice.paid'], description: 'Mine', metadata: { a: '1' },
  });
  assert.match(made.id, /^we_/);
  assert.match(made.secret, /^whsec_/);
  assert.equal(made.status, 'enabled');
  const seen = await stripe.webhookEndpoints.retrieve(made.id);
  assert.equal(seen.secret, undefined);
  assert.deepEqual(seen.enabled_events, ['customer.created', 'invoice.paid']);
  const off = await stripe.webhookEndpoints.update(made.id, { disabled: true, enabled_events: ['*'], description: '', metadata: { b: '2' } });
  assert.equal(off.status, 'disabled');
  assert.equal(off.description, null);
  assert.deepEqual(off.enabled_events, ['*']);
  assert.deepEqual({ ...off.metadata }, { a: '1', b: '2' });
  assert.ok((await all(stripe.webhookEndpoints.list())).some((each) => each.id === made.id));
  await refused(stripe.webhookEndpoints.update(made.id, { secret: 'x' }), 'StripeInvalidRequestError', { code: 'parameter_unknown', param: 'secret' });
  await refused(stripe.webhookEndpoints.create({ url: 'nonsense', enabled_events: ['*'] }), 'StripeInvalidRequestError', { statusCode: 400, param: 'url' });
  const stub = await stripe.webhookEndpoints.del(made.id);
  assert.deepEqual({ ...stub }, { id: made.id, object: 'webhook_endpoint', deleted: true });
  await refused(stripe.webhookEndpoints.retrieve(made.id), 'StripeInvalidRequestError', { statusCode: 404, code: 'resource_missing' });
});

test('endpoints cannot ask for events that do not exist', async () => {
  for (const type of ['no.such', 'customer.*']) {
    await refused(stripe.webhookEndpoints.create({ url: 'http://127.0.0.1:9/', enabled_events: [type] }), 'StripeInvalidRequestError', {
      statusCode: 400, param: 'enabled_events[0]',
    });
  }
});

test('every event of a subscription arrives, signed', async (t) => {
  const hook = await sink(t);
  const { customer, subscription, method } = await subscribed();
  const invoice = subscription.latest_invoice.id;
  const mine = (event) => {
    const it = event.data.object;
    return it.customer === customer.id || it.id === customer.id || it.invoice === invoice;
  };
  const wanted = [
    'customer.created', 'payment_method.attached', 'customer.updated', 'customer.subscription.created', 'invoice.created',
    'invoice.finalized', 'payment_intent.created', 'charge.succeeded', 'payment_intent.succeeded', 'invoice.updated',
    'invoice.paid', 'invoice.payment_succeeded', ...(has.basil ? ['invoice_payment.paid'] : []),
  ];
  const missing = () => wanted.filter((type) => !hook.events().some((event) => event.type === type && mine(event)));
  await until('all events', () => missing().length === 0, 20).catch(() => {});
  assert.deepEqual(missing(), []);
  assert.deepEqual(hook.failures, []);
  const one = (type) => hook.events().find((event) => event.type === type && mine(event));
  const created = one('customer.subscription.created');
  assert.equal(created.object, 'event');
  assert.match(created.id, /^evt_/);
  assert.equal(created.api_version, pin);
  assert.match(created.request.id, /^req_/);
  // The oldest SDK sends no key unless it may try again.
  if (major > 8) assert.match(created.request.idempotency_key, /^stripe-node-retry-/);
  assert.ok(created.pending_webhooks >= 1);
  assert.equal(created.data.object.id, subscription.id);
  assert.equal(created.data.previous_attributes, undefined);
  assert.equal(one('payment_method.attached').data.object.id, method.id);
  assert.equal(one('invoice.created').data.object.status, 'draft');
  assert.equal(one('invoice.finalized').data.object.status, 'open');
  assert.equal(one('invoice.paid').data.object.status, 'paid');
  if (has.basil) assert.equal(one('invoice_payment.paid').data.object.invoice, invoice);
  assert.ok(!hook.events().some((event) => event.type === 'customer.subscription.updated' && mine(event)), 'no update of what was active from the start');
  const ids = hook.events().map((event) => event.id);
  assert.equal(new Set(ids).size, ids.length, 'no event twice');
  const { headers } = hook.deliveries[0];
  assert.match(headers['content-type'], /^application\/json; charset=utf-8$/i);

  if (major > 8) assert.equal(pin, Stripe.API_VERSION ?? stripe.getApiField('version'));
  const again = await stripe.events.retrieve(created.id);
  assert.equal(again.type, 'customer.subscription.created');
  assert.equal(again.data.object.id, subscription.id);
  await until('the acknowledgement', async () => (await stripe.events.retrieve(created.id)).pending_webhooks === 0, 20);
});

test('a forged or old signature is found out', async (t) => {
  const hook = await sink(t, ['product.created']);
  await stripe.products.create({ name: unique('Signed') });
  await until('the event', () => hook.deliveries.length > 0);
  const { body, headers } = hook.deliveries[0];
  const signature = headers['stripe-signature'];
  assert.throws(() => stripe.webhooks.constructEvent(body, signature, 'whsec_wrong'), Stripe.errors.StripeSignatureVerificationError);
  assert.throws(() => stripe.webhooks.constructEvent(`${body} `, signature, hook.endpoint.secret), Stripe.errors.StripeSignatureVerificationError);
});

test('previous_attributes say what changed', async (t) => {
  const hook = await sink(t, ['customer.updated', 'customer.subscription.updated', 'customer.subscription.deleted', 'product.updated']);
  const { subscription, customer, product } = await subscribed();
  await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
  await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
  await cancel(subscription.id);
  await stripe.customers.update(customer.id, { metadata: { a: '1' } });
  await stripe.customers.update(customer.id, { metadata: { a: '2' } });
  await stripe.customers.update(customer.id, { metadata: { a: '2' } });
  await stripe.products.update(product.id, { name: 'Renamed' });
  const of = (type, id) => hook.events().filter((event) => event.type === type && event.data.object.id === id);
  await until('the events', () => of('product.updated', product.id).length && of('customer.subscription.deleted', subscription.id).length
    && of('customer.updated', customer.id).filter((event) => event.data.previous_attributes.metadata).length >= 2, 20);
  const updates = of('customer.subscription.updated', subscription.id);
  assert.equal(updates.length, 1, 'a no-op update is no event');
  const before = updates[0].data.previous_attributes;
  assert.equal(before.cancel_at_period_end, false);
  assert.equal(before.cancel_at, null);
  assert.equal(before.canceled_at, null);
  assert.equal(before.metadata, undefined);
  assert.equal(of('customer.subscription.deleted', subscription.id)[0].data.object.status, 'canceled');
  const metadata = of('customer.updated', customer.id).map((event) => event.data.previous_attributes.metadata).filter(Boolean);
  assert.deepEqual(metadata.map((each) => each.a).sort(), ['1', null]);
  const renamed = of('product.updated', product.id)[0].data.previous_attributes;
  assert.equal(renamed.name, product.name);
});

test('endpoints get only what they asked for', async (t) => {
  const hook = await sink(t, ['price.created']);
  const { price } = await priced();
  await customerWith(null);
  await until('the event', () => hook.events().some((event) => event.data.object.id === price.id));
  assert.ok(hook.events().every((event) => event.type === 'price.created'));
});

test('a failing sink gets the same event again', async (t) => {
  const email = `${unique('retry')}@example.com`;
  const hook = await sink(t, ['customer.created'], (event, deliveries) => {
    const times = deliveries.filter((each) => each.event.id === event.id).length;
    return event.data.object.email === email && times === 1 ? 500 : 200;
  });
  const customer = await stripe.customers.create({ email });
  const mine = () => hook.deliveries.filter((each) => each.event.data.object.id === customer.id);
  await until('the second delivery', () => mine().length >= 2, 40);
  const [first, second] = mine();
  assert.equal(first.event.id, second.event.id);
  assert.notEqual(first.headers['stripe-signature'], second.headers['stripe-signature'], 'signed anew');
  assert.deepEqual(hook.failures, []);
  await until('the acknowledgement', async () => (await stripe.events.retrieve(first.event.id)).pending_webhooks === 0, 20);
});

test('events are listed by type, wildcard, types and time', async () => {
  const { customer } = await customerWith(null);
  await stripe.customers.update(customer.id, { name: 'Grace' });
  const of = async (filter) => (await all(stripe.events.list({ limit: 100, ...filter }))).filter((event) => event.data.object.id === customer.id).map((event) => event.type);
  assert.deepEqual(await of({ type: 'customer.created' }), ['customer.created']);
  assert.deepEqual(await of({ type: 'customer.*' }), ['customer.updated', 'customer.created']);
  assert.deepEqual(await of({ types: ['customer.updated', 'invoice.paid'] }), ['customer.updated']);
  assert.deepEqual(await of({ created: { gte: customer.created } }), ['customer.updated', 'customer.created']);
  assert.deepEqual(await of({ created: { lt: customer.created } }), []);
  await refused(stripe.events.list({ type: 'customer.created', types: ['customer.updated'] }), 'StripeInvalidRequestError', { statusCode: 400 });
  await refused(stripe.events.retrieve('evt_none'), 'StripeInvalidRequestError', { statusCode: 404, code: 'resource_missing' });
});
