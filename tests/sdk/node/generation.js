'use strict';
// What a scenario must know of the SDK that it runs with and of the API version that this SDK speaks: every
// difference in names and shapes is said here, so that each scenario is written once.

const { dependencies } = require('./package.json');

const major = Number(dependencies.stripe.split('.')[0]);
/** The version that the SDK is pinned to. The oldest sends none by itself. */
const PINS = { 8: '2020-08-27', 17: '2025-02-24.acacia', 23: '2026-10-28.endive' };
const pin = PINS[major];
const since = (date) => pin.slice(0, 10) >= date;

const has = {
  basil: since('2025-03-31'),
  endive: since('2026-09-30'),
  latestCharge: since('2022-11-15'),
  /** The currency of a subscription, and why it was cancelled. */
  details: since('2022-08-01'),
};

module.exports = (stripe) => ({
  major,
  pin,
  has,
  since,

  /** For scenarios whose calls not every SDK has: `test('…', only(stripe.invoices.addLines), …)`. */
  only: (call, why = 'this SDK has no such call') => (call ? {} : { skip: why }),

  /** Of a subscription: its items have the period since basil. */
  periodOf: (subscription) => (has.basil ? subscription.items.data[0] : subscription),
  priceOf: (line) => (has.basil ? line.pricing.price_details.price : line.price.id),
  itemOf: (line) => (has.basil ? line.parent.subscription_item_details.subscription_item : line.subscription_item),
  invoiceItemOf: (line) => (has.basil ? line.parent.invoice_item_details.invoice_item : line.invoice_item),
  subscriptionOf: (invoice) => (has.basil ? invoice.parent.subscription_details.subscription : invoice.subscription),
  /** The metadata of the subscription as it was when the invoice was finalised. Not there in the oldest version. */
  snapshotOf: (invoice) => (has.basil ? invoice.parent.subscription_details : invoice.subscription_details)?.metadata,
  previousPeriodEnd: (before) => (has.basil ? before.items.data[0].current_period_end : before.current_period_end),

  /** What shows how an invoice is paid, as a path to expand. */
  payable: (prefix = '') => (has.basil ? ['payments', 'confirmation_secret'] : ['payment_intent']).map((path) => prefix + path),
  /** The secret for the browser, of an invoice that shows how it is paid. */
  secretOf: (invoice) => (has.basil ? invoice.confirmation_secret.client_secret : invoice.payment_intent.client_secret),
  /** The intent's id, of an invoice that shows how it is paid. */
  intentIdOf: (invoice) => (has.basil ? invoice.payments.data[0].payment.payment_intent : invoice.payment_intent.id),
  /** What to expand to see the charge of an intent, and that charge. */
  charged: has.latestCharge ? ['latest_charge'] : [],
  chargeOf: (intent) => (has.latestCharge ? intent.latest_charge : intent.charges.data[0]),
  chargeIdOf: (intent) => (has.latestCharge ? intent.latest_charge : intent.charges.data[0].id),
  /** What an invoice item is of. */
  of: (price) => (has.basil ? { pricing: { price } } : { price }),
  /** Before endive the cycle is restarted by a word. */
  cycle: (word) => (has.endive ? { type: word } : word),
  itemPriceOf: (item) => (has.basil ? item.pricing.price_details.price : item.price.id),

  cancel: (id, ...rest) => (stripe.subscriptions.cancel ? stripe.subscriptions.cancel(id, ...rest) : stripe.subscriptions.del(id, ...rest)),
  /** What a change of a subscription would be billed: `change` in the words of `subscription_details`. */
  preview: ({ subscription_details: change = {}, ...rest }) => {
    if (stripe.invoices.createPreview) return stripe.invoices.createPreview({ subscription_details: change, ...rest });
    const flat = Object.entries(change).map(([name, value]) => [`subscription_${name}`, value]);
    return stripe.invoices.retrieveUpcoming({ ...Object.fromEntries(flat), ...rest });
  },
});
