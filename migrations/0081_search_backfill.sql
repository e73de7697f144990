-- no-transaction
-- Fills the columns of what is there already, a thousand rows in each transaction: nobody waits long for any of
-- them. It may break off and run again. What is in the body is the truth.
do $$
declare
    metadata constant text := $sql$(
        select jsonb_object_agg(key, lower(value)) || jsonb_build_object('', jsonb_agg(key))
        from json_each_text(body::json -> 'metadata'))$sql$;
    changes constant text[][] := array[
        ['customers', $sql$email_folded = lower(body::json ->> 'email'), name_folded = lower(body::json ->> 'name'),
            phone_folded = lower(body::json ->> 'phone')$sql$],
        ['products', $sql$name_folded = lower(body::json ->> 'name'),
            description_folded = lower(body::json ->> 'description')$sql$],
        ['prices', $sql$told = told$sql$],
        ['subscriptions', $sql$canceled_at = (body::json ->> 'canceled_at')::bigint$sql$],
        ['invoices', $sql$currency = body::json ->> 'currency',
            last_finalization_error_code = body::json #>> '{last_finalization_error,code}',
            last_finalization_error_type = body::json #>> '{last_finalization_error,type}'$sql$],
        ['payment_intents', $sql$currency = body::json ->> 'currency'$sql$],
        ['charges', $sql$amount = (body::json ->> 'amount')::bigint,
            card_brand = body::json #>> '{payment_method_details,card,brand}',
            card_exp_month = (body::json #>> '{payment_method_details,card,exp_month}')::bigint,
            card_exp_year = (body::json #>> '{payment_method_details,card,exp_year}')::bigint,
            card_fingerprint = body::json #>> '{payment_method_details,card,fingerprint}',
            card_last4 = body::json #>> '{payment_method_details,card,last4}',
            disputed = (body::json ->> 'disputed')::boolean,
            postal_code = body::json #>> '{billing_details,address,postal_code}',
            refunded = (body::json ->> 'refunded')::boolean$sql$]];
    change text[];
    done text;
    upto text;
begin
    foreach change slice 1 in array changes loop
        done := '';
        loop
            execute format('select max(id) from (select id from %I where id > $1 order by id limit 1000) page', change[1])
                into upto using done;
            exit when upto is null;
            -- in the order in which others lock them
            execute format('select from %I where id > $1 and id <= $2 order by id for update', change[1]) using done, upto;
            execute format('update %I set %s, metadata = %s where id > $1 and id <= $2', change[1], change[2], metadata)
                using done, upto;
            commit;
            done := upto;
        end loop;
    end loop;
end $$;
