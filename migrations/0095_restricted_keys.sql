set local lock_timeout = '10s';

-- What a restricted key may do: customers=read,invoices=write. Other keys have no such list.
alter table api_keys
    add column permissions text,
    drop constraint api_keys_kind_check,
    add constraint api_keys_kind_check check (kind in ('secret', 'publishable', 'restricted')),
    add constraint api_keys_permissions_check check ((kind = 'restricted') = (permissions is not null));
