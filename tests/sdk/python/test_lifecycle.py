"""The whole life of a subscription, as Stripe's documentation tells it."""

import unittest
from datetime import datetime, timezone

from support import Case, card, customer_with, every, plain, priced, v1

HOUR = 3600
DAY = 24 * HOUR


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp())


START, HALFWAY, FEBRUARY, MARCH = at("2027-01-01"), at("2027-01-16T12:00:00"), at("2027-02-01"), at("2027-03-01")


class Lifecycle(Case):
    def live(self, token="pm_card_visa", **more):
        """A customer on a clock of their own, subscribed to a plan of 20 dollars a month."""
        clock = v1.test_helpers.test_clocks.create({"frozen_time": START})
        self.addCleanup(v1.test_helpers.test_clocks.delete, clock.id)
        self.clock = clock
        _, self.price = priced()
        self.customer, _ = customer_with(token, test_clock=clock.id)
        self.subscription = v1.subscriptions.create(
            {
                "customer": self.customer.id,
                "items": [{"price": self.price.id}],
                "expand": ["latest_invoice"],
                **more,
            }
        )
        return self.subscription

    def go(self, to):
        self.advance(self.clock, to)

    def now(self):
        return v1.subscriptions.retrieve(self.subscription.id, {"expand": ["latest_invoice"]})

    def update(self, **params):
        return v1.subscriptions.update(self.subscription.id, params)

    def invoices(self):
        return every(v1.invoices.list({"subscription": self.subscription.id}))[::-1]

    def statuses(self):
        return [invoice.status for invoice in self.invoices()]

    def told(self):
        """What was told about the subscription itself, oldest first."""
        events = every(v1.events.list({"type": "customer.subscription.*", "limit": 100}))
        return [event for event in events if event.data.object.id == self.subscription.id][::-1]

    def item(self):
        return self.subscription["items"].data[0].id

    def test_the_status_table(self):
        for token, intent, invoice, status in [
            ("pm_card_visa", "succeeded", "paid", "active"),
            ("pm_card_chargeCustomerFail", "requires_payment_method", "open", "incomplete"),
            ("pm_card_authenticationRequired", "requires_action", "open", "incomplete"),
        ]:
            with self.subTest(token):
                made = self.live(token)
                self.assertEqual((made.status, made.latest_invoice.status), (status, invoice))
                self.assertEqual(self.intent_of(made.latest_invoice).status, intent)
                self.assertEqual([event.type for event in self.told()], ["customer.subscription.created"])

    def test_a_trial_with_a_card(self):
        made = self.live(trial_period_days=14)
        self.assertEqual((made.status, made.trial_end, made.latest_invoice.total), ("trialing", START + 14 * DAY, 0))
        self.go(START + 11 * DAY)
        self.assertEqual(self.told()[-1].type, "customer.subscription.trial_will_end")
        self.go(START + 14 * DAY + 2 * HOUR)
        self.assertEqual((self.now().status, self.now().latest_invoice.amount_paid), ("active", 2000))

    def test_a_trial_without_a_card(self):
        for behavior, status, invoices in [("create_invoice", "past_due", 2), ("pause", "paused", 1), ("cancel", "canceled", 1)]:
            with self.subTest(behavior):
                settings = {"end_behavior": {"missing_payment_method": behavior}}
                self.live(None, trial_period_days=7, trial_settings=settings)
                self.go(START + 7 * DAY + 2 * HOUR)
                self.assertEqual((self.now().status, len(self.invoices())), (status, invoices))
        self.live(None, trial_period_days=7, trial_settings={"end_behavior": {"missing_payment_method": "pause"}})
        self.go(START + 10 * DAY)
        card(self.customer)
        waiting = v1.subscriptions.resume(self.subscription.id)
        self.assertEqual(waiting.status, "paused")
        v1.invoices.pay(waiting.latest_invoice)
        self.assertEqual((self.now().status, self.now().billing_cycle_anchor), ("active", START + 10 * DAY))
        types = [event.type for event in self.told()]
        self.assertIn("customer.subscription.paused", types)
        self.assertIn("customer.subscription.resumed", types)

    def test_upgrade_and_downgrade(self):
        for cents, amounts in [(5000, [-1000, 2500, 5000]), (1000, [-1000, 500, 1000])]:
            with self.subTest(cents):
                self.live()
                _, other = priced(cents)
                self.go(HALFWAY)
                self.update(items=[{"id": self.item(), "price": other.id}])
                self.go(FEBRUARY + 2 * HOUR)
                renewal = self.now().latest_invoice
                self.assertEqual(sorted(line.amount for line in renewal.lines.data), amounts)
                self.assertEqual((renewal.status, renewal.amount_paid), ("paid", sum(amounts)))

    def test_an_upgrade_at_once(self):
        self.live()
        _, bigger = priced(5000)
        self.go(HALFWAY)
        changed = self.update(
            items=[{"id": self.item(), "price": bigger.id}], proration_behavior="always_invoice", expand=["latest_invoice"]
        )
        invoice = changed.latest_invoice
        self.assertEqual((invoice.status, invoice.total, invoice.billing_reason), ("paid", 1500, "subscription_update"))

    def test_pausing_collection(self):
        for behavior, status in [("void", "void"), ("keep_as_draft", "draft"), ("mark_uncollectible", "uncollectible")]:
            with self.subTest(behavior):
                self.live()
                paused = self.update(pause_collection={"behavior": behavior})
                self.assertEqual((paused.status, paused.pause_collection.behavior), ("active", behavior))
                self.go(FEBRUARY + DAY)
                self.assertIsNone(self.update(pause_collection="").pause_collection)
                self.go(MARCH + 2 * HOUR)
                self.assertEqual(self.statuses(), ["paid", status, "paid"])
                self.assertEqual({event.type for event in self.told()[1:]}, {"customer.subscription.updated"})

    def test_what_an_event_says_of_a_pause(self):
        self.live()
        self.update(pause_collection={"behavior": "void"})
        self.update(pause_collection={"behavior": "void", "resumes_at": FEBRUARY})
        previous = plain(self.told()[-1].data.previous_attributes)
        self.assertEqual(previous, {"pause_collection": {"resumes_at": None}})

    def test_pause_and_resume(self):
        self.live()
        self.go(HALFWAY)
        self.assertEqual(v1.subscriptions.pause(self.subscription.id).status, "paused")
        pending = v1.invoice_items.list({"customer": self.customer.id, "pending": True}).data
        self.assertEqual([item.amount for item in pending], [-1000])
        self.go(MARCH)
        self.assertEqual(len(self.invoices()), 1)
        resumed = v1.subscriptions.resume(self.subscription.id, {"payment_behavior": "resume_on_payment_success"})
        self.assertEqual((resumed.status, resumed.billing_cycle_anchor), ("active", MARCH))
        self.assertEqual(self.now().latest_invoice.amount_paid, 1000)

    def test_cancelling(self):
        self.live()
        self.update(cancel_at_period_end=True)
        undone = self.update(cancel_at_period_end=False)
        self.assertEqual((undone.cancel_at, undone.canceled_at), (None, None))
        self.update(cancel_at_period_end=True)
        self.go(FEBRUARY + DAY)
        self.assertEqual((self.now().status, self.now().ended_at, len(self.invoices())), ("canceled", FEBRUARY, 1))
        self.live()
        v1.invoice_items.create({"customer": self.customer.id, "subscription": self.subscription.id, "amount": 700, "currency": "usd"})
        ended = v1.subscriptions.cancel(self.subscription.id, {"invoice_now": True})
        self.assertEqual(ended.status, "canceled")
        self.assertEqual([invoice.amount_paid for invoice in self.invoices()], [2000, 700])
        self.assertEqual(self.update(metadata={"k": "v"}).metadata["k"], "v")
        self.invalid(self.update, description="x", status=400, code="invalid_canceled_subscription_fields")
        self.missing(v1.subscriptions.cancel, self.subscription.id)

    def test_voiding(self):
        self.live()
        card(self.customer, "pm_card_chargeCustomerFail")
        self.go(FEBRUARY + 2 * HOUR)
        self.assertEqual(self.now().status, "past_due")
        v1.invoices.void_invoice(self.now().latest_invoice.id)
        self.assertEqual(self.now().status, "active")
        made = self.live("pm_card_chargeCustomerFail")
        v1.invoices.void_invoice(made.latest_invoice.id)
        self.assertEqual(self.now().status, "incomplete_expired")

    def test_past_due_and_back(self):
        def pay(invoice):
            card(self.customer)
            v1.invoices.pay(invoice)

        for settle in (
            pay,
            lambda invoice: v1.invoices.pay(invoice, {"paid_out_of_band": True}),
            v1.invoices.mark_uncollectible,
        ):
            self.live()
            card(self.customer, "pm_card_chargeCustomerFail")
            self.go(FEBRUARY + 2 * HOUR)
            self.assertEqual(self.now().status, "past_due")
            settle(self.now().latest_invoice.id)
            self.assertEqual(self.now().status, "active")


if __name__ == "__main__":
    unittest.main()
