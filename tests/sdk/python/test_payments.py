import stripe
from support import CARDS, Case, begins, customer_with, ids, publishable, v1


def intend(**more):
    return v1.payment_intents.create({"amount": 2000, "currency": "usd", **CARDS, **more})


class Payments(Case):
    def test_payment_methods(self):
        customer, method = customer_with()
        self.assertEqual(ids(v1.payment_methods.list({"customer": customer.id, "type": "card"}).data), [method.id])
        self.assertEqual(ids(v1.customers.payment_methods.list(customer.id).data), [method.id])
        v1.payment_methods.detach(method.id)
        self.assertIsNone(v1.customers.retrieve(customer.id).invoice_settings.default_payment_method)
        self.invalid(v1.payment_methods.attach, method.id, {"customer": customer.id}, status=400)
        number = {"number": "5555555555554444", "exp_month": 12, "exp_year": 2034, "cvc": "314"}
        made = publishable.v1.payment_methods.create({"type": "card", "card": number})
        self.assertEqual((made.card.brand, made.customer), ("mastercard", None))
        self.assertEqual(v1.payment_methods.attach(made.id, {"customer": customer.id}).id, made.id)
        bad = {**number, "number": "4242424242424241"}
        self.declined(v1.payment_methods.create, {"type": "card", "card": bad}, code="incorrect_number")

    def test_declined_cards_cannot_be_attached(self):
        customer, _ = customer_with(None)
        for token, code, decline in [
            ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
            ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
            ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
            ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
            ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
        ]:
            with self.subTest(token):
                self.declined(v1.payment_methods.attach, token, {"customer": customer.id}, code=code, decline=decline)
        self.assertEqual(v1.payment_methods.list({"customer": customer.id}).data, [])

    def test_create_update_confirm(self):
        customer, method = customer_with()
        intent = intend(customer=customer.id, metadata={"order": "7"})
        self.assertEqual((intent.status, intent.capture_method), ("requires_payment_method", "automatic_async"))
        updated = v1.payment_intents.update(intent.id, {"amount": 2500, "payment_method": method.id})
        self.assertEqual((updated.amount, updated.status), (2500, "requires_confirmation"))
        paid = v1.payment_intents.confirm(intent.id, {"expand": ["latest_charge"]})
        self.assertEqual((paid.status, paid.amount_received, paid.latest_charge.captured), ("succeeded", 2500, True))
        self.assertEqual(paid.latest_charge.metadata.order, "7")
        self.assertEqual(ids(v1.charges.list({"payment_intent": intent.id}).data), [paid.latest_charge.id])
        self.assertEqual(ids(v1.payment_intents.list({"customer": customer.id}).data), [intent.id])
        for call, message in [
            (v1.payment_intents.confirm, "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."),
            (v1.payment_intents.cancel, "You cannot cancel this PaymentIntent because it has a status of succeeded."),
            (v1.payment_intents.capture, "This PaymentIntent could not be captured because it has a status of succeeded."),
        ]:
            self.invalid(call, intent.id, status=400, code="payment_intent_unexpected_state", message=begins(message))

    def test_errors_of_state_carry_the_intent(self):
        intent = intend(confirm=True, payment_method="pm_card_visa")
        for call in (v1.payment_intents.confirm, v1.payment_intents.cancel, v1.payment_intents.capture):
            error = self.invalid(call, intent.id, code="payment_intent_unexpected_state")
            self.assertIsNotNone(error.error.payment_intent)
            self.assertEqual(error.error.payment_intent.id, intent.id)

    def test_confirm_without_a_method(self):
        self.invalid(v1.payment_intents.confirm, intend().id, status=400, code="payment_intent_unexpected_state",
                     message="^You cannot confirm this PaymentIntent because it's missing a payment method")

    def test_capture_and_release(self):
        held = {"capture_method": "manual", "confirm": True, "payment_method": "pm_card_visa"}
        intent = intend(**held)
        self.assertEqual((intent.status, intent.amount_capturable, intent.amount_received), ("requires_capture", 2000, 0))
        self.invalid(v1.payment_intents.capture, intent.id, {"amount_to_capture": 2001}, status=400)
        captured = v1.payment_intents.capture(intent.id, {"amount_to_capture": 1500, "expand": ["latest_charge"]})
        self.assertEqual((captured.status, captured.amount_received, captured.amount_capturable), ("succeeded", 1500, 0))
        self.assertEqual((captured.latest_charge.captured, captured.latest_charge.amount_captured), (True, 1500))
        released = v1.payment_intents.cancel(intend(**held).id)
        self.assertEqual((released.status, released.amount_capturable), ("canceled", 0))

    def test_cancel(self):
        canceled = v1.payment_intents.cancel(intend().id, {"cancellation_reason": "abandoned"})
        self.assertEqual((canceled.status, canceled.cancellation_reason), ("canceled", "abandoned"))
        self.invalid(v1.payment_intents.cancel, canceled.id, status=400, code="payment_intent_unexpected_state")

    def test_a_decline_then_another_card(self):
        intent = intend()
        error = self.declined(
            v1.payment_intents.confirm, intent.id, {"payment_method": "pm_card_visa_chargeDeclinedInsufficientFunds"},
            code="card_declined", decline="insufficient_funds", message=r"^Your card has insufficient funds\.$",
        )
        self.assertEqual(error.error.payment_intent.id, intent.id)
        self.assertTrue(error.error.charge.startswith("ch_"))
        left = v1.payment_intents.retrieve(intent.id)
        self.assertEqual((left.status, left.payment_method), ("requires_payment_method", None))
        paid = v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
        self.assertEqual((paid.status, paid.last_payment_error), ("succeeded", None))
        self.assertEqual([c.status for c in v1.charges.list({"payment_intent": intent.id}).data], ["succeeded", "failed"])

    def test_authentication(self):
        intent = intend(confirm=True, payment_method="pm_card_authenticationRequired")
        self.assertEqual((intent.status, intent.next_action.type), ("requires_action", "use_stripe_sdk"))
        customer, method = customer_with("pm_card_authenticationRequired")
        error = self.declined(
            intend, customer=customer.id, confirm=True, off_session=True, payment_method=method.id, code="authentication_required"
        )
        left = v1.payment_intents.retrieve(error.error.payment_intent.id)
        self.assertEqual((left.status, left.last_payment_error.payment_method.id), ("requires_payment_method", method.id))

    def test_setup_and_refund(self):
        customer, _ = customer_with(None)
        setup = v1.setup_intents.create({"customer": customer.id, "confirm": True, "payment_method": "pm_card_visa"})
        self.assertEqual((setup.status, setup.next_action), ("succeeded", None))
        paid = intend(customer=customer.id, payment_method=setup.payment_method, confirm=True, off_session=True)
        part = v1.refunds.create({"payment_intent": paid.id, "amount": 100})
        self.assertEqual((part.status, part.charge), ("succeeded", paid.latest_charge))
        rest = v1.refunds.create({"charge": paid.latest_charge})
        self.assertEqual(rest.amount, paid.amount - 100)
        self.invalid(v1.refunds.create, {"charge": paid.latest_charge}, status=400, code="charge_already_refunded")

    def test_amounts_are_checked(self):
        self.invalid(intend, amount=49, status=400, code="amount_too_small", param="amount")
        self.invalid(intend, amount=100000000, status=400, code="amount_too_large", param="amount")
        self.invalid(intend, amount=-5, status=400, param="amount")
        self.assertEqual(self.invalid(intend, currency="xyz", status=400, message=r"^Invalid currency: xyz\.").param, "currency")
        self.invalid(v1.payment_intents.create, {"currency": "usd"}, code="parameter_missing", param="amount")

    def test_error_class_of_a_bad_key(self):
        from support import client

        self.refused(stripe.AuthenticationError, client("sk_test_wrongwrongwrong1234").v1.customers.list, status=401,
                     message=r"^Invalid API Key provided: sk_test_\*+1234")
