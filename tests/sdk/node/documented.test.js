'use strict';
// The code samples of Stripe's documentation, as they stand there.
const { test } = require('node:test');
const assert = require('node:assert/strict');
const http = require('node:http');
const {
  stripe, publishable, unique, priced, customerWith, subscribed, until, sink, all, advance, cancel, payable, periodOf, secretOf,
} = require('./support.js');

const at = (text) => Date.parse(text) / 1000;
const plain = (value) => JSON.parse(JSON.stringify(value));

// What to do about accounts that nobody uses.

test('dormant: cancelled at the end of the period', async () => {
  const { subscription } = await subscribed();
  const ending = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
  assert.equal(ending.cancel_at_period_end, true);
  assert.equal(ending.cancel_at, periodOf(subscription).current_period_end);
  const kept = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: false });
  assert.deepEqual([kept.status, kept.cancel_at], ['active', null]);
});

for (const nothing of [null, '']) {
  test(`dormant: collection paused until a day, and unset by ${nothing === null ? 'null' : 'empty text'}`, async () => {
    const { subscription } = await subscribed();
    const resumes = periodOf(subscription).current_period_end + 86400;
    const paused = await stripe.subscriptions.update(subscription.id, {
      pause_collection: { behavior: 'mark_uncollectible', resumes_at: resumes },
    });
    assert.deepEqual(plain(paused.pause_collection), { behavior: 'mark_uncollectible', resumes_at: resumes });
    assert.equal(paused.status, 'active');
    const resumed = await stripe.subscriptions.update(subscription.id, { pause_collection: nothing });
    assert.equal(resumed.pause_collection, null);
  });
}

test('dormant: cancelled at once, with a last invoice for what is open', async (t) => {
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: at('2027-01-01T00:00:00Z'), name: unique('clock') });
  t.after(() => stripe.testHelpers.testClocks.del(clock.id).catch(() => {}));
  const { price } = await priced();
  const { customer } = await customerWith('pm_card_visa', { test_clock: clock.id });
  const subscription = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  await advance(clock, at('2027-01-16T12:00:00Z'));
  await stripe.invoiceItems.create({ customer: customer.id, subscription: subscription.id, amount: 700, currency: 'usd' });
  const ended = await cancel(subscription.id, { invoice_now: true });
  assert.equal(ended.status, 'canceled');
  const [last, first] = await all(stripe.invoices.list({ customer: customer.id }));
  assert.equal(last.total, 700);
  assert.notEqual(last.id, first.id);
});

// What a server does with the events it is sent.

test('webhooks: an endpoint, from the documentation', async (t) => {
  const seen = [];
  let secret;
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
      const payload = Buffer.concat(chunks);
      const signature = request.headers['stripe-signature'];
      let event;
      try {
        event = stripe.webhooks.constructEvent(payload, signature, secret);
      } catch (error) {
        response.writeHead(400).end(`Webhook Error: ${error.message}`);
        return;
      }
      switch (event.type) {
        case 'invoice.paid':
        case 'invoice.payment_failed':
          seen.push(event.data.object);
          break;
        default:
      }
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ received: true }));
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${server.address().port}/webhook`;
  const endpoint = await stripe.webhookEndpoints.create({ url, enabled_events: ['invoice.paid', 'invoice.payment_failed'] });
  t.after(() => stripe.webhookEndpoints.del(endpoint.id));
  secret = endpoint.secret;
  const { customer } = await subscribed();
  await until('invoice.paid', () => seen.some((invoice) => invoice.customer === customer.id), 20);
  const forged = await fetch(url, { method: 'POST', body: '{}', headers: { 'stripe-signature': 't=1,v1=00' } });
  assert.equal(forged.status, 400);
});

test('webhooks: the customer behind an address', async () => {
  const { customer } = await customerWith(null);
  const customers = await stripe.customers.list({ email: customer.email });
  assert.deepEqual(customers.data.map((each) => each.id), [customer.id]);
});

test('webhooks: the customer behind an address, searched', async () => {
  const { customer } = await customerWith(null, { metadata: { order: unique('order') } });
  const found = await stripe.customers.search({ query: `email:'${customer.email}'` });
  assert.deepEqual(found.data.map((each) => each.id), [customer.id]);
  const both = await stripe.customers.search({ query: `name:'Ada' AND metadata['order']:'${customer.metadata.order}'` });
  assert.deepEqual(both.data.map((each) => each.id), [customer.id]);
});

test('webhooks: every endpoint hears in its own version', async (t) => {
  const versions = ['2020-08-27', '2025-02-24.acacia', '2026-10-28.endive'];
  const hooks = await Promise.all(versions.map((version) => sink(t, ['customer.subscription.created'], () => 200, version)));
  const { subscription } = await subscribed();
  for (const [place, hook] of hooks.entries()) {
    const mine = () => hook.events().find((event) => event.data.object.id === subscription.id);
    const { api_version: version, data } = await until('the event', mine, 20);
    assert.equal(version, versions[place]);
    const end = version < '2025-03-31' ? data.object.current_period_end : data.object.items.data[0].current_period_end;
    assert.equal(end, periodOf(subscription).current_period_end);
    assert.equal('current_period_end' in data.object, version < '2025-03-31');
  }
});

// How a first payment is made in the browser.

test('first payment: made on the server, confirmed with the publishable key', async () => {
  const { price } = await priced();
  const customer = await stripe.customers.create({ email: `${unique('new')}@example.com` });
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    payment_behavior: 'default_incomplete',
    payment_settings: { save_default_payment_method: 'on_subscription' },
    expand: payable('latest_invoice.'),
  });
  const clientSecret = secretOf(subscription.latest_invoice);
  const browser = publishable();
  const [id] = clientSecret.split('_secret_');
  const confirmed = await browser.paymentIntents.confirm(id, { client_secret: clientSecret, payment_method: 'pm_card_visa' });
  assert.equal(confirmed.status, 'succeeded');
  assert.equal(confirmed.customer, undefined, 'a browser sees no customer');
  const active = await stripe.subscriptions.retrieve(subscription.id, { expand: ['default_payment_method'] });
  assert.equal(active.status, 'active');
  assert.equal(active.default_payment_method.card.last4, '4242');
});

test('first payment: declined in the browser, and paid with another card', async () => {
  const { subscription } = await subscribed(null, { payment_behavior: 'default_incomplete' });
  const clientSecret = secretOf(subscription.latest_invoice);
  const [id] = clientSecret.split('_secret_');
  const confirm = (method) => publishable().paymentIntents.confirm(id, { client_secret: clientSecret, payment_method: method });
  await assert.rejects(confirm('pm_card_visa_chargeDeclined'), { type: 'StripeCardError', code: 'card_declined' });
  assert.equal((await stripe.subscriptions.retrieve(subscription.id)).status, 'incomplete');
  assert.equal((await confirm('pm_card_visa')).status, 'succeeded');
  assert.equal((await stripe.subscriptions.retrieve(subscription.id)).status, 'active');
});

test('first payment: a card is set up first, and charged later', async () => {
  const customer = await stripe.customers.create({ email: `${unique('later')}@example.com` });
  const setup = await stripe.setupIntents.create({ customer: customer.id, usage: 'off_session' });
  const done = await publishable().setupIntents.confirm(setup.id, {
    client_secret: setup.client_secret, payment_method: 'pm_card_visa',
  });
  assert.equal(done.status, 'succeeded');
  const { data: [method] } = await stripe.paymentMethods.list({ customer: customer.id, type: 'card' });
  assert.equal(method.id, done.payment_method);
  await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: method.id } });
  const { price } = await priced();
  const subscription = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  assert.equal(subscription.status, 'active');
  const paid = await stripe.paymentIntents.create({
    amount: 1099, currency: 'usd', customer: customer.id, payment_method: method.id, off_session: true, confirm: true,
  });
  assert.equal(paid.status, 'succeeded');
});
