-- Why what is due of a customer was refused the last time: for whoever looks after those that are parked.

set local lock_timeout = '10s';

alter table customers add column refused_because text;
