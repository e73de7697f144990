import unittest
from collections import Counter
from datetime import datetime, timezone

from support import Case, card, customer_with, every, ids, member, plain, priced, v1

HOUR = 3600
DAYS = [
    "2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30", "2027-07-31", "2027-08-31",
    "2027-09-30", "2027-10-31", "2027-11-30", "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30",
]
BOUNDARIES = [int(datetime.fromisoformat(f"{day}T09:00:05").replace(tzinfo=timezone.utc).timestamp()) for day in DAYS]
START = BOUNDARIES[0]
clocks = v1.test_helpers.test_clocks


class Clocks(Case):
    def clocked(self, token="pm_card_visa", **more):
        self.clock = clocks.create({"frozen_time": START})
        self.addCleanup(clocks.delete, self.clock.id)
        _, self.price = priced()
        self.customer, self.method = customer_with(token, test_clock=self.clock.id)
        self.subscription = v1.subscriptions.create(
            {"customer": self.customer.id, "items": [{"price": self.price.id}], **more}
        )
        return self.subscription

    def invoices(self):
        return every(v1.invoices.list({"subscription": self.subscription.id, "limit": 4}))[::-1]

    def test_fourteen_months_in_one_advance(self):
        subscription = self.clocked()
        self.assertEqual((subscription.created, subscription.test_clock, subscription.status), (START, self.clock.id, "active"))
        self.advance(self.clock, BOUNDARIES[14] + 2 * HOUR)
        invoices = self.invoices()
        self.assertEqual(len(invoices), 15)
        self.assertEqual([i.status for i in invoices], ["paid"] * 15)
        self.assertEqual([i.created for i in invoices], BOUNDARIES[:15])
        self.assertEqual([(i.lines.data[0].period.start, i.lines.data[0].period.end) for i in invoices], list(zip(BOUNDARIES, BOUNDARIES[1:])))
        self.assertEqual([(i.period_start, i.period_end) for i in invoices[1:]], list(zip(BOUNDARIES, BOUNDARIES[1:15])))
        self.assertEqual([i.billing_reason for i in invoices], ["subscription_create"] + ["subscription_cycle"] * 14)
        for invoice in invoices[1:]:
            for moment in (invoice.status_transitions.finalized_at, invoice.status_transitions.paid_at):
                self.assertTrue(HOUR <= moment - invoice.created <= HOUR + 120)
        self.assertEqual(len({i.number for i in invoices}), 15)
        after = v1.subscriptions.retrieve(subscription.id)
        self.assertEqual((after.status, after.latest_invoice, after.billing_cycle_anchor), ("active", invoices[14].id, START))
        item = after["items"].data[0]
        self.assertEqual((item.current_period_start, item.current_period_end), (BOUNDARIES[14], BOUNDARIES[15]))
        self.assertEqual(len(every(v1.charges.list({"customer": self.customer.id, "limit": 5}))), 15)
        types = ["invoice.created", "invoice.finalized", "invoice.paid", "charge.succeeded", "customer.subscription.updated"]
        events = [e for e in every(v1.events.list({"types": types, "limit": 100})) if member(e.data.object, "customer") == self.customer.id]
        self.assertEqual(Counter(e.type for e in events), dict(zip(types, [15, 15, 15, 15, 14])))
        renewal = next(e for e in events if e.type == "customer.subscription.updated")
        self.assertEqual((renewal.request.id, renewal.request.idempotency_key), (None, None))
        self.assertEqual(renewal.data.previous_attributes["latest_invoice"], invoices[13].id)

    def test_a_renewal_is_a_draft_for_an_hour(self):
        self.clocked()
        self.advance(self.clock, BOUNDARIES[1])
        draft = self.invoices()[1]
        self.assertEqual((draft.status, draft.auto_advance, draft.number), ("draft", True, None))
        self.assertLessEqual(abs(draft.automatically_finalizes_at - BOUNDARIES[1] - HOUR), 120)
        self.invalid(v1.invoices.delete, draft.id, status=400)
        self.advance(self.clock, BOUNDARIES[1] + 2 * HOUR)
        self.assertEqual(v1.invoices.retrieve(draft.id).status, "paid")

    def test_a_card_that_starts_declining(self):
        self.clocked()
        card(self.customer, "pm_card_chargeCustomerFail")
        self.advance(self.clock, BOUNDARIES[1] + 2 * HOUR)
        late = v1.subscriptions.retrieve(self.subscription.id, {"expand": ["latest_invoice"]})
        invoice = late.latest_invoice
        self.assertEqual((late.status, invoice.status, invoice.attempted, invoice.attempt_count), ("past_due", "open", True, 1))
        intent = self.intent_of(invoice)
        self.assertEqual((intent.status, intent.last_payment_error.decline_code), ("requires_payment_method", "generic_decline"))
        self.assertTrue(v1.customers.retrieve(self.customer.id).delinquent)
        objects = {invoice.id, intent.id, intent.latest_charge, self.subscription.id}
        types = {e.type for e in every(v1.events.list({"limit": 100})) if member(e.data.object, "id") in objects}
        wanted = {
            "invoice.created", "invoice.finalized", "payment_intent.created", "charge.failed", "payment_intent.payment_failed",
            "invoice.updated", "invoice.payment_failed", "customer.subscription.updated",
        }
        self.assertEqual(wanted - types, set())
        self.assertNotIn("invoice.paid", types)
        card(self.customer)
        self.assertEqual(v1.invoices.retrieve(invoice.id).status, "open")
        self.assertEqual(v1.invoices.pay(invoice.id).status, "paid")
        self.assertEqual(v1.subscriptions.retrieve(self.subscription.id).status, "active")
        self.assertFalse(v1.customers.retrieve(self.customer.id).delinquent)

    def test_the_next_attempt_is_planned(self):
        self.clocked()
        card(self.customer, "pm_card_chargeCustomerFail")
        self.advance(self.clock, BOUNDARIES[1] + 2 * HOUR)
        self.assertGreater(self.invoices()[1].next_payment_attempt or 0, BOUNDARIES[1] + 2 * HOUR)

    def test_cancel_at_period_end(self):
        self.clocked()
        v1.subscriptions.update(self.subscription.id, {"cancel_at_period_end": True})
        self.advance(self.clock, BOUNDARIES[1] + 2 * HOUR)
        ended = v1.subscriptions.retrieve(self.subscription.id)
        self.assertEqual((ended.status, ended.ended_at, ended.canceled_at), ("canceled", BOUNDARIES[1], START))
        self.assertEqual(len(self.invoices()), 1)

    def test_incomplete_expires_after_23_hours(self):
        self.clocked(None, payment_behavior="default_incomplete")
        self.advance(self.clock, START + 22 * HOUR)
        self.assertEqual(v1.subscriptions.retrieve(self.subscription.id).status, "incomplete")
        self.advance(self.clock, START + 24 * HOUR)
        expired = v1.subscriptions.retrieve(self.subscription.id, {"expand": ["latest_invoice"]})
        self.assertEqual((expired.status, expired.latest_invoice.status), ("incomplete_expired", "void"))
        intent = self.intent_of(expired.latest_invoice)
        self.assertEqual((intent.status, intent.cancellation_reason), ("canceled", "void_invoice"))

    def test_webhooks_of_renewals(self):
        self.clocked()
        hook = self.sink()
        self.advance(self.clock, BOUNDARIES[1] + 2 * HOUR)

        def paid():
            return [e for e in hook.events() if e.type == "invoice.paid" and e.data.object.customer == self.customer.id]

        self.until("invoice.paid", paid, 20)
        self.assertEqual(paid()[0].data.object.billing_reason, "subscription_cycle")
        self.assertEqual(hook.failures, [])

    def test_list_hide_refuse_delete(self):
        clock = clocks.create({"frozen_time": START, "name": "Mine"})
        self.assertIn(clock.id, ids(every(clocks.list())))
        customer, _ = customer_with(test_clock=clock.id)
        _, price = priced()
        subscription = v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})
        self.assertEqual(v1.customers.list({"email": customer.email}).data, [])
        self.assertEqual(ids(v1.customers.list({"test_clock": clock.id}).data), [customer.id])
        self.assertEqual(ids(v1.subscriptions.list({"customer": customer.id}).data), [subscription.id])
        self.invalid(clocks.advance, clock.id, {"frozen_time": START - 1}, status=400, param="frozen_time")
        self.assertEqual(plain(clocks.delete(clock.id)), {"id": clock.id, "object": "test_helpers.test_clock", "deleted": True})
        self.missing(clocks.retrieve, clock.id)
        self.assertEqual(v1.subscriptions.list({"price": price.id}).data, [])
