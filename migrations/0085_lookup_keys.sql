-- A lookup key that is transferred leaves one price and comes to another in one statement: that each price has
-- its own is looked at when the statement ends, not row by row.

set local lock_timeout = '10s';

drop index prices_lookup_key;
alter table prices add constraint prices_lookup_key unique (livemode, lookup_key) deferrable initially immediate;
