'use strict';
// What the suites share: clients as a user would make them, a customer with a card, a webhook sink.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const Stripe = require('stripe');

const base = new URL(process.env.DUNLIN_URL ?? 'http://127.0.0.1:8420');
const PINNED = require('./package.json').dependencies.stripe.startsWith('8.') ? { apiVersion: '2020-08-27' } : {};
const client = (key) => new Stripe(key, { host: base.hostname, port: base.port, protocol: 'http', ...PINNED });
const stripe = client(process.env.DUNLIN_SECRET_KEY);
const publishable = () => client(process.env.DUNLIN_PUBLISHABLE_KEY);
const generation = require('./generation.js')(stripe);
const { has, payable, pin, charged } = generation;

let counter = 0;
const unique = (word) => `${word}-${process.pid}-${Date.now().toString(36)}-${++counter}`;
const now = () => Math.floor(Date.now() / 1000);

async function priced(amount = 2000, more = {}) {
  const product = await stripe.products.create({ name: unique('Plan') });
  const price = await stripe.prices.create({
    product: product.id,
    currency: 'usd',
    unit_amount: amount,
    recurring: { interval: 'month' },
    ...more,
  });
  return { product, price };
}

async function card(customer, token = 'pm_card_visa') {
  const method = await stripe.paymentMethods.attach(token, { customer: customer.id });
  await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: method.id } });
  return method;
}

/** A customer with a default card (or none, when `token` is null). */
async function customerWith(token = 'pm_card_visa', more = {}) {
  const customer = await stripe.customers.create({ email: `${unique('ada')}@example.com`, name: 'Ada', ...more });
  const method = token === null ? null : await card(customer, token);
  return { customer, method };
}

async function subscribed(token = 'pm_card_visa', more = {}) {
  const [{ product, price }, { customer, method }] = await Promise.all([priced(), customerWith(token)]);
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    expand: payable('latest_invoice.'),
    ...more,
  });
  return { product, price, customer, method, subscription };
}

/** The payment intent behind an invoice: since basil by its invoice payments. */
async function intentOf(invoice, expand = []) {
  if (!has.basil) {
    const { payment_intent: intent } = await stripe.invoices.retrieve(invoice.id);
    return stripe.paymentIntents.retrieve(intent, { expand });
  }
  const payments = await stripe.invoicePayments.list({ invoice: invoice.id });
  assert.equal(payments.data.length, 1);
  assert.equal(payments.data[0].payment.type, 'payment_intent');
  return stripe.paymentIntents.retrieve(payments.data[0].payment.payment_intent, { expand });
}

/** The error a call fails with, checked against the wanted class and members. */
async function refused(promise, kind, wanted = {}) {
  let caught;
  try {
    await promise;
  } catch (error) {
    caught = error;
  }
  assert.ok(caught, `expected ${kind}, but the call went through`);
  assert.equal(caught.type, kind, `${caught.type}: ${caught.message}`);
  assert.ok(caught instanceof Stripe.errors[kind]);
  for (const [name, value] of Object.entries(wanted)) {
    if (value instanceof RegExp) assert.match(caught[name] ?? '', value);
    else assert.equal(caught[name], value, `${name} of: ${caught.message}`);
  }
  return caught;
}

async function until(what, question, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > end) assert.fail(`waited ${seconds} s for ${what}`);
    await sleep(100);
  }
}

async function all(list) {
  const found = [];
  for await (const each of list) found.push(each);
  return found;
}

/** Authenticates a payment or a setup as the customer would, or fails to. */
async function authenticate(intent, outcome) {
  const answer = await fetch(new URL(`/v1/test_helpers/${intent.object}s/${intent.id}/authenticate`, base), {
    method: 'POST',
    headers: { Authorization: `Bearer ${process.env.DUNLIN_SECRET_KEY}`, 'Stripe-Version': pin },
    body: new URLSearchParams({ outcome }),
  });
  assert.equal(answer.status, 200);
}

/** A webhook sink: a local server and an endpoint that points at it; every body is verified. */
async function sink(t, enabledEvents = ['*'], answer = () => 200, version = pin) {
  const deliveries = [];
  const failures = [];
  let secret;
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      if (process.env.DUNLIN_RECORD_DIR) {
        const line = JSON.stringify(JSON.parse(body.toString()));
        fs.appendFileSync(path.join(process.env.DUNLIN_RECORD_DIR, 'webhooks.jsonl'), `${line}\n`);
      }
      try {
        const event = stripe.webhooks.constructEvent(body, request.headers['stripe-signature'], secret);
        deliveries.push({ event, body, headers: request.headers });
        response.writeHead(answer(event, deliveries)).end();
      } catch (error) {
        failures.push(error);
        response.writeHead(400).end();
      }
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = await stripe.webhookEndpoints.create({
    url: `http://127.0.0.1:${server.address().port}/hook`,
    enabled_events: enabledEvents,
    api_version: version,
  });
  secret = endpoint.secret;
  t.after(async () => {
    await stripe.webhookEndpoints.del(endpoint.id).catch(() => {});
    server.closeAllConnections();
    server.close();
  });
  return { endpoint, deliveries, failures, events: () => deliveries.map((each) => each.event) };
}

async function advance(clock, to) {
  const answer = await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: to });
  assert.equal(answer.object, 'test_helpers.test_clock');
  return until(
    'the clock to be ready',
    async () => {
      const current = await stripe.testHelpers.testClocks.retrieve(clock.id);
      assert.notEqual(current.status, 'internal_failure');
      return current.status === 'ready' && current.frozen_time === to && current;
    },
    60,
  );
}

module.exports = {
  ...generation, Stripe, stripe, base, client, authenticate, publishable, unique, now, priced, card, customerWith, subscribed, intentOf, refused, until,
  all, sink, advance, sleep,
};
