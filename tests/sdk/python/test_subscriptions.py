import unittest

from support import Case, Subscribed, begins, card, customer_with, every, ids, plain, priced, publishable, v1


class Subscriptions(Case):
    def test_a_working_card_makes_it_active_and_paid(self):
        product = v1.products.create({"name": "Gold", "metadata": {"tier": "gold"}})
        price = v1.prices.create(
            {"product": product.id, "currency": "usd", "unit_amount": 2000, "recurring": {"interval": "month"}}
        )
        self.assertEqual((price.type, price.recurring.interval, price.recurring.interval_count), ("recurring", "month", 1))
        self.assertEqual(str(price.unit_amount_decimal), "2000")
        customer = v1.customers.create({"email": "gold@example.com"})
        method = v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
        self.assertEqual((method.customer, method.card.brand, method.card.last4), (customer.id, "visa", "4242"))
        updated = v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
        self.assertEqual(updated.invoice_settings.default_payment_method, method.id)

        subscription = v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id, "quantity": 2}]})
        self.assertEqual(subscription.status, "active")
        self.assertEqual(subscription.billing_mode.type, "flexible")
        item = subscription["items"].data[0]
        self.assertEqual((item.quantity, item.current_period_start), (2, subscription.created))
        self.assertGreaterEqual(item.current_period_end - item.current_period_start, 28 * 86400)

        invoice = v1.invoices.retrieve(subscription.latest_invoice, {"expand": ["payments"]})
        self.assertEqual(
            (invoice.status, invoice.total, invoice.amount_paid, invoice.amount_remaining, invoice.attempt_count),
            ("paid", 4000, 4000, 0, 1),
        )
        self.assertEqual(invoice.billing_reason, "subscription_create")
        self.assertEqual(invoice.parent.subscription_details.subscription, subscription.id)
        self.assertEqual(invoice.lines.data[0].pricing.price_details.price, price.id)
        self.assertEqual(invoice.lines.data[0].description, "2 × Gold (at $20.00 / month)")
        payment = invoice.payments.data[0]
        self.assertEqual((payment.status, payment.is_default, payment.amount_paid), ("paid", True, 4000))
        intent = v1.payment_intents.retrieve(payment.payment.payment_intent, {"expand": ["latest_charge"]})
        self.assertEqual((intent.status, intent.amount_received, intent.payment_method), ("succeeded", 4000, method.id))
        self.assertEqual((intent.latest_charge.status, intent.latest_charge.amount), ("succeeded", 4000))
        charge = v1.charges.retrieve(intent.latest_charge.id)
        self.assertEqual((charge.payment_intent, charge.customer, charge.paid), (intent.id, customer.id, True))
        self.assertEqual(v1.customers.retrieve(customer.id).currency, "usd")

    def test_retrieve_and_expand(self):
        made = Subscribed()
        self.assertEqual(made.invoice.payments.data[0].object, "invoice_payment")
        subscription = v1.subscriptions.retrieve(made.subscription.id)
        self.assertEqual(subscription.customer, made.customer.id)
        self.assertEqual(subscription["items"].data[0].price.product, made.product.id)
        invoice = v1.invoices.retrieve(subscription.latest_invoice)
        self.assertNotIn("payments", plain(invoice))
        self.assertNotIn("confirmation_secret", plain(invoice))
        whole = v1.subscriptions.retrieve(
            made.subscription.id, {"expand": ["customer", "items.data.price.product", "latest_invoice.payments"]}
        )
        self.assertEqual(whole.customer.email, made.customer.email)
        self.assertEqual(whole["items"].data[0].price.product.name, made.product.name)
        self.assertEqual(whole.latest_invoice.payments.data[0].status, "paid")
        listed = v1.subscriptions.list({"customer": made.customer.id, "expand": ["data.customer"]})
        self.assertEqual(listed.data[0].customer.email, made.customer.email)
        items = v1.subscription_items.list({"subscription": subscription.id})
        self.assertEqual(v1.subscription_items.retrieve(items.data[0].id).price.id, made.price.id)

    def test_expansion_that_leads_nowhere_or_too_deep(self):
        customer, _ = customer_with(None)
        self.invalid(v1.customers.retrieve, customer.id, {"expand": ["email.foo"]}, status=400, message="^This property cannot be expanded")
        self.invalid(v1.customers.list, {"expand": ["default_source"]}, status=400, message=r"'data\.default_source' instead")
        deep = "subscriptions.data.latest_invoice.customer.invoice_settings.default_payment_method.customer"
        self.invalid(v1.customers.retrieve, customer.id, {"expand": [deep]}, status=400, code="property_expansion_max_depth")

    def test_lists_paginate_by_themselves(self):
        _, price = priced(500)
        customer, _ = customer_with()
        made = [v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]}).id for _ in range(7)]
        self.assertEqual(ids(every(v1.subscriptions.list({"price": price.id, "limit": 2}))), made[::-1])
        page = v1.subscriptions.list({"price": price.id, "limit": 3, "starting_after": made[5]})
        self.assertEqual((ids(page.data), page.has_more), ([made[4], made[3], made[2]], True))
        before = v1.subscriptions.list({"price": price.id, "limit": 2, "ending_before": made[2]})
        self.assertEqual((ids(before.data), before.has_more), ([made[4], made[3]], True))
        self.assertEqual(ids(every(v1.subscriptions.list({"price": price.id, "limit": 2, "ending_before": made[0]}))), made[1:])

    def test_metadata_is_merged_and_unset(self):
        made = Subscribed(metadata={"a": "1", "b": "2"})
        self.assertEqual(plain(made.invoice.parent.subscription_details.metadata), {"a": "1", "b": "2"})
        merged = v1.subscriptions.update(made.subscription.id, {"metadata": {"b": "", "c": "3"}})
        self.assertEqual(plain(merged.metadata), {"a": "1", "c": "3"})
        self.assertEqual(plain(v1.subscriptions.update(made.subscription.id, {}).metadata), {"a": "1", "c": "3"})
        self.assertEqual(plain(v1.subscriptions.update(made.subscription.id, {"metadata": ""}).metadata), {})

    def test_default_payment_method(self):
        made = Subscribed()
        other = v1.payment_methods.attach("pm_card_mastercard", {"customer": made.customer.id})
        updated = v1.subscriptions.update(
            made.subscription.id, {"default_payment_method": other.id, "expand": ["default_payment_method"]}
        )
        self.assertEqual(updated.default_payment_method.card.brand, "mastercard")
        self.assertIsNone(v1.payment_methods.detach(other.id).customer)
        self.assertIsNone(v1.subscriptions.retrieve(made.subscription.id).default_payment_method)

    def test_cancel_at_period_end_and_undo(self):
        made = Subscribed()
        ending = v1.subscriptions.update(made.subscription.id, {"cancel_at_period_end": True})
        self.assertEqual((ending.status, ending.cancel_at_period_end), ("active", True))
        self.assertEqual(ending.cancel_at, made.subscription["items"].data[0].current_period_end)
        self.assertGreaterEqual(ending.canceled_at, made.subscription.created)
        kept = v1.subscriptions.update(made.subscription.id, {"cancel_at_period_end": False})
        self.assertEqual((kept.cancel_at_period_end, kept.cancel_at, kept.canceled_at), (False, None, None))

    def test_cancel_now_once(self):
        made = Subscribed()
        canceled = v1.subscriptions.cancel(
            made.subscription.id, {"cancellation_details": {"comment": "Too dear", "feedback": "too_expensive"}}
        )
        self.assertEqual((canceled.object, canceled.status), ("subscription", "canceled"))
        self.assertTrue(canceled.canceled_at and canceled.ended_at)
        details = canceled.cancellation_details
        self.assertEqual((details.comment, details.feedback, details.reason), ("Too dear", "too_expensive", "cancellation_requested"))
        self.missing(v1.subscriptions.cancel, made.subscription.id, message=begins(f"No such subscription: '{made.subscription.id}'"))
        self.assertEqual(v1.subscriptions.update(made.subscription.id, {"metadata": {"n": "1"}}).metadata.n, "1")
        self.invalid(
            v1.subscriptions.update, made.subscription.id, {"cancel_at_period_end": True},
            status=400, code="invalid_canceled_subscription_fields",
        )

    def test_default_incomplete_confirmed_with_the_client_secret(self):
        made = Subscribed(
            None, payment_behavior="default_incomplete", payment_settings={"save_default_payment_method": "on_subscription"}
        )
        self.assertEqual((made.subscription.status, made.invoice.status), ("incomplete", "open"))
        self.assertEqual(made.invoice.confirmation_secret.type, "payment_intent")
        client_secret = made.invoice.confirmation_secret.client_secret
        intent = client_secret.split("_secret_")[0]
        self.assertEqual(made.invoice.payments.data[0].payment.payment_intent, intent)
        browser = publishable.v1.payment_intents
        self.invalid(browser.retrieve, intent, status=400, code="parameter_missing", param="client_secret")
        self.invalid(browser.retrieve, intent, {"client_secret": f"{intent}_secret_wrong"}, status=400, param="client_secret")
        self.assertEqual(browser.retrieve(intent, {"client_secret": client_secret}).status, "requires_payment_method")
        self.declined(
            browser.confirm, intent, {"client_secret": client_secret, "payment_method": "pm_card_visa_chargeDeclined"},
            code="card_declined", decline="generic_decline",
        )
        self.assertEqual(v1.subscriptions.retrieve(made.subscription.id).status, "incomplete")
        done = browser.confirm(intent, {"client_secret": client_secret, "payment_method": "pm_card_visa", "return_url": "https://example.com/"})
        self.assertEqual(done.status, "succeeded")
        after = v1.subscriptions.retrieve(made.subscription.id, {"expand": ["latest_invoice", "default_payment_method"]})
        self.assertEqual((after.status, after.latest_invoice.status), ("active", "paid"))
        self.assertEqual(after.default_payment_method.customer, made.customer.id)

    def test_default_incomplete_with_a_card_at_hand(self):
        made = Subscribed(payment_behavior="default_incomplete")
        intent = self.intent_of(made.invoice)
        self.assertEqual((intent.status, intent.payment_method), ("requires_confirmation", made.method.id))
        self.assertEqual(v1.payment_intents.confirm(intent.id).status, "succeeded")
        self.assertEqual(v1.subscriptions.retrieve(made.subscription.id).status, "active")

    def test_a_failing_card_leaves_it_incomplete(self):
        made = Subscribed("pm_card_chargeCustomerFail")
        self.assertEqual((made.subscription.status, made.invoice.status), ("incomplete", "open"))
        intent = self.intent_of(made.invoice)
        self.assertEqual((intent.status, intent.payment_method), ("requires_payment_method", None))
        error = intent.last_payment_error
        self.assertEqual((error.type, error.code, error.decline_code), ("card_error", "card_declined", "generic_decline"))
        self.assertEqual(error.payment_method.id, made.method.id)
        self.assertEqual(v1.charges.retrieve(intent.latest_charge).status, "failed")
        card(made.customer)
        self.assertEqual(v1.invoices.pay(made.invoice.id).status, "paid")
        self.assertEqual(v1.subscriptions.retrieve(made.subscription.id).status, "active")

    def test_a_voided_first_invoice_ends_it(self):
        made = Subscribed("pm_card_chargeCustomerFail")
        self.assertEqual(v1.invoices.void_invoice(made.invoice.id).status, "void")
        self.assertEqual(v1.subscriptions.retrieve(made.subscription.id).status, "incomplete_expired")

    def test_error_if_incomplete_leaves_nothing_behind(self):
        _, price = priced()
        customer, _ = customer_with("pm_card_chargeCustomerFail")
        self.declined(
            v1.subscriptions.create,
            {"customer": customer.id, "items": [{"price": price.id}], "payment_behavior": "error_if_incomplete"},
            code="card_declined",
        )
        self.assertEqual(v1.subscriptions.list({"customer": customer.id, "status": "all"}).data, [])

    def test_no_payment_method(self):
        _, price = priced()
        customer, _ = customer_with(None)
        self.invalid(
            v1.subscriptions.create, {"customer": customer.id, "items": [{"price": price.id}]}, status=400,
            code="resource_missing", message="^This customer has no attached payment source or default payment method",
        )

    def test_authentication_required(self):
        made = Subscribed("pm_card_authenticationRequired")
        self.assertEqual((made.subscription.status, made.invoice.status), ("incomplete", "open"))
        intent = self.intent_of(made.invoice)
        self.assertEqual(intent.status, "requires_action")
        self.assertTrue(intent.next_action.type)

    def test_deleting_the_customer(self):
        made = Subscribed()
        self.assertEqual(plain(v1.customers.delete(made.customer.id)), {"id": made.customer.id, "object": "customer", "deleted": True})
        self.assertTrue(v1.customers.retrieve(made.customer.id).deleted)
        after = v1.subscriptions.retrieve(made.subscription.id, {"expand": ["customer"]})
        self.assertEqual((after.status, after.customer.deleted), ("canceled", True))
