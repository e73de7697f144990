'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { stripe, has, only, customerWith, refused, all } = require('./support.js');

async function opened(lines = [{ amount: 1500, description: 'Set-up' }, { amount: 1000 }]) {
  const { customer } = await customerWith();
  for (const line of lines.toReversed()) await stripe.invoiceItems.create({ customer: customer.id, currency: 'usd', ...line });
  const draft = await stripe.invoices.create({ customer: customer.id, pending_invoice_items_behavior: 'include' });
  return { customer, invoice: await stripe.invoices.finalizeInvoice(draft.id) };
}

test('the lines of a draft are added, changed and removed', only(stripe.invoices.addLines), async () => {
  const { customer } = await customerWith();
  const draft = await stripe.invoices.create({
    customer: customer.id, collection_method: 'send_invoice', days_until_due: 30,
    custom_fields: [{ name: 'PO', value: '42' }],
  });
  assert.equal(draft.due_date, draft.created + 30 * 86400);
  assert.deepEqual(draft.custom_fields.map((field) => ({ ...field })), [{ name: 'PO', value: '42' }]);
  const full = await stripe.invoices.addLines(draft.id, { lines: [{ amount: 500 }, { amount: 700 }], invoice_metadata: { k: 'v' } });
  assert.equal(full.total, 1200);
  assert.equal(full.metadata.k, 'v');
  const [first, second] = full.lines.data;
  const line = await stripe.invoices.updateLineItem(draft.id, first.id, { amount: 800, description: 'More' });
  assert.equal(line.object, 'line_item');
  assert.equal(line.amount, 800);
  const changed = await stripe.invoices.updateLines(draft.id, { lines: [{ id: second.id, quantity: 2 }] });
  assert.equal(changed.total, 2200);
  const left = await stripe.invoices.removeLines(draft.id, { lines: [{ id: first.id, behavior: 'unassign' }] });
  assert.equal(left.total, 1400);
  assert.equal((await stripe.invoiceItems.list({ customer: customer.id, pending: true })).data.length, 1);
  const sent = await stripe.invoices.sendInvoice(draft.id);
  assert.equal(sent.status, 'open');
  await refused(stripe.invoices.addLines(draft.id, { lines: [{ amount: 1 }] }), 'StripeInvalidRequestError', { code: 'invoice_not_editable' });
});

test('a second payment pays a part of an invoice', only(stripe.invoices.attachPayment), async () => {
  const { customer, invoice } = await opened();
  const intent = await stripe.paymentIntents.create({
    customer: customer.id, amount: 1000, currency: 'usd', payment_method: 'pm_card_visa', confirm: true,
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
  });
  const partly = await stripe.invoices.attachPayment(invoice.id, { payment_intent: intent.id });
  assert.equal(partly.amount_remaining, 1500);
  const paid = await stripe.invoices.pay(invoice.id);
  assert.equal(paid.status, 'paid');
  assert.equal(paid.amount_paid, 2500);
});

test('the balance of a customer and its history', async () => {
  const { customer } = await customerWith();
  const entry = await stripe.customers.createBalanceTransaction(customer.id, { amount: -500, currency: 'usd', description: 'Sorry' });
  assert.equal(entry.type, 'adjustment');
  assert.equal(entry.ending_balance, -500);
  await stripe.customers.updateBalanceTransaction(customer.id, entry.id, { metadata: { k: 'v' } });
  assert.equal((await stripe.customers.retrieveBalanceTransaction(customer.id, entry.id)).metadata.k, 'v');
  await stripe.invoiceItems.create({ customer: customer.id, currency: 'usd', amount: 2000 });
  const draft = await stripe.invoices.create({ customer: customer.id, pending_invoice_items_behavior: 'include' });
  const open = await stripe.invoices.finalizeInvoice(draft.id);
  assert.equal(open.amount_due, 1500);
  await stripe.invoices.voidInvoice(draft.id);
  const history = await all(stripe.customers.listBalanceTransactions(customer.id));
  assert.deepEqual(history.map((each) => each.type), ['unapplied_from_invoice', 'applied_to_invoice', 'adjustment']);
  assert.equal(history.reduce((sum, each) => sum + each.amount, 0), (await stripe.customers.retrieve(customer.id)).balance);
});

test('a credit note lowers what is due, is previewed and voided', async () => {
  const { invoice } = await opened();
  const [line] = invoice.lines.data;
  const wanted = { invoice: invoice.id, lines: [{ type: 'invoice_line_item', invoice_line_item: line.id, amount: 600 }] };
  assert.equal((await stripe.creditNotes.preview(wanted)).amount, 600);
  assert.equal((await stripe.creditNotes.listPreviewLineItems(wanted)).data[0].invoice_line_item, line.id);
  const note = await stripe.creditNotes.create({ ...wanted, reason: 'order_change', memo: 'Less' });
  assert.equal(note.number, `${invoice.number}-CN-01`);
  if (has.basil) assert.equal(note.pre_payment_amount, 600);
  assert.equal((await stripe.creditNotes.update(note.id, { memo: 'Much less' })).memo, 'Much less');
  assert.equal((await stripe.creditNotes.listLineItems(note.id)).data[0].amount, 600);
  assert.equal((await stripe.invoices.retrieve(invoice.id)).amount_due, 1900);
  assert.equal((await stripe.creditNotes.voidCreditNote(note.id)).status, 'void');
  assert.equal((await stripe.invoices.retrieve(invoice.id)).amount_due, 2500);
  assert.equal((await stripe.creditNotes.list({ invoice: invoice.id })).data.length, 1);
  await refused(stripe.creditNotes.create({ invoice: invoice.id, amount: 2501 }), 'StripeInvalidRequestError', { param: 'amount' });
});

test('a credit note gives back what was paid', only(has.basil, 'the version has one refund only'), async () => {
  const { customer, invoice } = await opened();
  await stripe.invoices.pay(invoice.id);
  const note = await stripe.creditNotes.create({
    invoice: invoice.id, amount: 900, refund_amount: 400, credit_amount: 300, out_of_band_amount: 200, expand: ['refunds.refund'],
  });
  assert.equal(note.type, 'post_payment');
  assert.equal(note.refunds[0].refund.amount, 400);
  assert.equal((await stripe.customers.retrieve(customer.id)).balance, -300);
  assert.equal((await stripe.invoices.retrieve(invoice.id)).post_payment_credit_notes_amount, 900);
});
