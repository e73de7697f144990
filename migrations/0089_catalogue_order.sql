-- Products and prices are listed by time, because their ids may be chosen.

set local lock_timeout = '10s';

create index products_created on products (created, id);
create index prices_created on prices (created, id);
