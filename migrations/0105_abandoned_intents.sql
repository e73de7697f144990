set local lock_timeout = '10s';

-- Intents that nobody has finished are loaded with their customer only where something may become of them by
-- itself: what pays an invoice, and what is under way. Of old ones that were left alone a customer may have
-- thousands.
update payment_intents set standing = false
where standing
    and due_at is null
    and status in ('requires_action', 'requires_confirmation', 'requires_payment_method')
    and body::json #>> '{internal,attempt}' is null
    and body::json #>> '{internal,invoice}' is null
    and body::json #>> '{internal,attached_to}' is null;
