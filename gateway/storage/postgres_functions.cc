#include "gateway/storage/postgres_functions.h"

namespace lp::gateway::storage {

// Parameters are arrays of one length, with an entry for each call; every nullifier is there once.
// The functions run in the caller's transaction, READ COMMITTED: each statement in them sees what
// was committed before it began.
const std::string_view postgres_functions = R"sql(
-- Takes tickets (docs/storage.md, "Statements of a registration"). One row for each of them:
-- 'accepted', 'replayed', 'spent_by_other', 'pool_exhausted' or 'too_much' (the sum would exceed 63
-- bits). New peers get the addresses of new_ipv4s and new_ipv6s in their order.
--
-- Instances that take tickets at the same time lock in one order, and so never in a circle:
-- nullifiers, then clients by id, then new keys. The caller sorts by nullifier.
CREATE FUNCTION lp_accept_tickets(
  own_instance TEXT, nullifiers BYTEA[], owners BYTEA[], wireguard BOOLEAN[], ticket_types TEXT[],
  expiries BIGINT[], amounts BIGINT[], moments BIGINT[], new_ipv4s TEXT[], new_ipv6s TEXT[])
RETURNS TABLE (
  ticket INTEGER, outcome TEXT, client BIGINT, existed BOOLEAN, left_available BIGINT,
  ticket_amount BIGINT, ipv4 TEXT, ipv6 TEXT, serving TEXT)
LANGUAGE plpgsql AS $$
DECLARE
  i INTEGER;
  taken BOOLEAN[];
  known_clients BIGINT[];
  new_client BIGINT;
  addresses_used INTEGER := 0;
  spent RECORD;
BEGIN
  -- The INSERT is the double-spend check. Where another transaction has the nullifier, it waits.
  FOR i IN 1 .. cardinality(nullifiers) LOOP
    client := NULL;
    IF wireguard[i] THEN
      SELECT p.id INTO client FROM wireguard_peers AS p WHERE p.public_key = owners[i];
    ELSE
      SELECT m.id INTO client FROM mixnet_clients AS m WHERE m.client_key = owners[i];
    END IF;
    INSERT INTO spent_credentials (nullifier, expiry, spent_at, amount, mode, owner, client_id)
      VALUES (nullifiers[i], expiries[i], moments[i], amounts[i],
              CASE WHEN wireguard[i] THEN 'dvpn' ELSE 'mixnet' END, owners[i], client)
      ON CONFLICT (nullifier) DO NOTHING;
    taken[i] := FOUND;
    known_clients[i] := client;
  END LOOP;

  FOR i IN SELECT n FROM generate_series(1, cardinality(nullifiers)) AS n WHERE taken[n]
           ORDER BY known_clients[n] NULLS LAST, wireguard[n], owners[n], n LOOP
    ticket := i;
    outcome := 'accepted';
    client := known_clients[i];
    existed := true;
    left_available := amounts[i];
    ticket_amount := amounts[i];
    ipv4 := NULL;
    ipv6 := NULL;
    serving := NULL;

    IF client IS NULL THEN
      LOOP
        -- A ticket before this one, or another instance, may have made the client meanwhile.
        IF wireguard[i] THEN
          SELECT p.id INTO client FROM wireguard_peers AS p WHERE p.public_key = owners[i];
        ELSE
          SELECT m.id INTO client FROM mixnet_clients AS m WHERE m.client_key = owners[i];
        END IF;
        EXIT WHEN client IS NOT NULL;
        IF wireguard[i] AND addresses_used >= cardinality(new_ipv4s) THEN
          outcome := 'pool_exhausted';
          EXIT;
        END IF;
        INSERT INTO clients (kind)
          VALUES (CASE WHEN wireguard[i] THEN 'wireguard' ELSE 'mixnet' END)
          RETURNING id INTO new_client;
        IF wireguard[i] THEN
          INSERT INTO wireguard_peers
              (id, instance, public_key, ticket_type, private_ipv4, private_ipv6, created_at)
            VALUES (new_client, own_instance, owners[i], ticket_types[i],
                    new_ipv4s[addresses_used + 1], new_ipv6s[addresses_used + 1], moments[i])
            ON CONFLICT (public_key) DO NOTHING;
        ELSE
          INSERT INTO mixnet_clients (id, client_key, ticket_type, created_at, last_seen)
            VALUES (new_client, owners[i], ticket_types[i], moments[i], moments[i])
            ON CONFLICT (client_key) DO NOTHING;
        END IF;
        IF FOUND THEN
          client := new_client;
          existed := false;
          INSERT INTO bandwidth (client_id, available, used, credited, updated_at)
            VALUES (client, amounts[i], 0, amounts[i], moments[i]);
          IF wireguard[i] THEN
            addresses_used := addresses_used + 1;
            ipv4 := new_ipv4s[addresses_used];
            ipv6 := new_ipv6s[addresses_used];
            serving := own_instance;
          END IF;
          EXIT;
        END IF;
        DELETE FROM clients WHERE id = new_client;
      END LOOP;
      IF client IS NULL THEN
        DELETE FROM spent_credentials WHERE nullifier = nullifiers[i];
        RETURN NEXT;
        CONTINUE;
      END IF;
      UPDATE spent_credentials SET client_id = client WHERE nullifier = nullifiers[i];
    END IF;

    IF existed THEN
      UPDATE bandwidth AS b SET available = b.available + amounts[i],
          credited = b.credited + amounts[i], updated_at = moments[i]
        WHERE b.client_id = client AND b.credited <= 9223372036854775807 - amounts[i]
        RETURNING b.available INTO left_available;
      IF NOT FOUND THEN
        DELETE FROM spent_credentials WHERE nullifier = nullifiers[i];
        outcome := 'too_much';
        RETURN NEXT;
        CONTINUE;
      END IF;
      IF wireguard[i] THEN
        SELECT p.private_ipv4, p.private_ipv6, p.instance INTO ipv4, ipv6, serving
          FROM wireguard_peers AS p WHERE p.id = client;
        -- A debt that this ticket does not cover keeps the peer out, and a removal of it noted.
        IF left_available > 0 THEN
          DELETE FROM wireguard_removals AS r
            WHERE r.instance = serving AND r.public_key = owners[i];
        END IF;
      ELSE
        UPDATE mixnet_clients SET last_seen = moments[i] WHERE id = client;
      END IF;
    END IF;
    RETURN NEXT;
  END LOOP;

  FOR i IN 1 .. cardinality(nullifiers) LOOP
    CONTINUE WHEN taken[i];
    -- By the owner and not by client_id: a client removed since and registered anew is the one that
    -- a repeated request asks for.
    SELECT s.mode, s.owner, s.amount, coalesce(p.id, m.id) AS id, p.private_ipv4, p.private_ipv6,
        p.instance, b.available INTO spent
      FROM spent_credentials AS s
      LEFT JOIN wireguard_peers AS p ON s.mode = 'dvpn' AND p.public_key = s.owner
      LEFT JOIN mixnet_clients AS m ON s.mode = 'mixnet' AND m.client_key = s.owner
      LEFT JOIN bandwidth AS b ON b.client_id = coalesce(p.id, m.id)
      WHERE s.nullifier = nullifiers[i];
    IF NOT FOUND THEN
      RAISE EXCEPTION 'a ticket was given back at this moment' USING ERRCODE = '40001';
    END IF;
    ticket := i;
    existed := true;
    IF spent.owner = owners[i] AND (spent.mode = 'dvpn') = wireguard[i] THEN
      outcome := 'replayed';
      client := spent.id;
      left_available := spent.available;
      ticket_amount := spent.amount;
      ipv4 := spent.private_ipv4;
      ipv6 := spent.private_ipv6;
      serving := spent.instance;
    ELSE
      outcome := 'spent_by_other';
      client := NULL;
      left_available := NULL;
      ticket_amount := 0;
      ipv4 := NULL;
      ipv6 := NULL;
      serving := NULL;
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;

-- Gives one ticket back. client_removed: it was the client's last one.
CREATE FUNCTION lp_compensate_ticket(
  given_nullifier BYTEA, given_owner BYTEA, wireguard BOOLEAN, moment BIGINT)
RETURNS TABLE (client_removed BOOLEAN, removal_noted BOOLEAN)
LANGUAGE plpgsql AS $$
DECLARE
  ticket RECORD;
  balance RECORD;
BEGIN
  client_removed := false;
  removal_noted := false;
  DELETE FROM spent_credentials AS s
    WHERE s.nullifier = given_nullifier AND s.owner = given_owner
      AND s.mode = CASE WHEN wireguard THEN 'dvpn' ELSE 'mixnet' END
    RETURNING s.client_id, s.amount INTO ticket;
  IF NOT FOUND OR ticket.client_id IS NULL THEN
    RETURN NEXT;
    RETURN;
  END IF;
  -- Waits for other instances that take a ticket of this client, and keeps further ones waiting.
  PERFORM 1 FROM clients WHERE id = ticket.client_id FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NEXT;
    RETURN;
  END IF;
  UPDATE bandwidth AS b SET available = b.available - ticket.amount,
      credited = b.credited - ticket.amount, updated_at = moment
    WHERE b.client_id = ticket.client_id RETURNING b.available, b.credited INTO STRICT balance;
  -- A client whose other tickets were cleaned up after their time still has their credit.
  IF balance.credited = 0
      AND NOT EXISTS (SELECT 1 FROM spent_credentials WHERE client_id = ticket.client_id) THEN
    DELETE FROM clients WHERE id = ticket.client_id;
    client_removed := true;
    removal_noted := wireguard;
  ELSIF wireguard AND balance.available <= 0 THEN
    -- The peer may have reached WireGuard although adding it was reported as failed.
    INSERT INTO wireguard_removals (instance, public_key, since)
      SELECT p.instance, p.public_key, moment FROM wireguard_peers AS p
      WHERE p.id = ticket.client_id
      ON CONFLICT (instance, public_key) DO NOTHING;
    removal_noted := true;
  END IF;
  RETURN NEXT;
END $$;

-- Debits what went through the tunnels of this instance's peers (docs/storage.md, "Statements of
-- metering").
CREATE FUNCTION lp_record_usage(
  own_instance TEXT, client_ids BIGINT[], rx_before BIGINT[], tx_before BIGINT[], rx_after BIGINT[],
  tx_after BIGINT[], used_bytes BIGINT[], seen BIGINT[], moment BIGINT)
RETURNS TABLE (debited BIGINT, peers BIGINT, skipped BIGINT, spent BIGINT)
LANGUAGE plpgsql AS $$
DECLARE
  key BYTEA;
  left_available BIGINT;
BEGIN
  debited := 0;
  peers := 0;
  skipped := 0;
  spent := 0;
  FOR i IN 1 .. cardinality(client_ids) LOOP
    UPDATE wireguard_peers AS p SET rx_bytes = rx_after[i], tx_bytes = tx_after[i],
        last_seen = greatest(p.last_seen, seen[i])
      WHERE p.id = client_ids[i] AND p.instance = own_instance
        AND p.rx_bytes = rx_before[i] AND p.tx_bytes = tx_before[i]
      RETURNING p.public_key INTO key;
    IF NOT FOUND THEN
      skipped := skipped + 1;
      CONTINUE;
    END IF;
    -- The sum must stay an integer of 64 bits.
    UPDATE bandwidth AS b SET
        used = b.used + least(used_bytes[i], 9223372036854775807 - b.used),
        available = b.available - least(used_bytes[i], 9223372036854775807 - b.used),
        updated_at = CASE WHEN used_bytes[i] > 0 THEN moment ELSE b.updated_at END
      WHERE b.client_id = client_ids[i] RETURNING b.available INTO STRICT left_available;
    peers := peers + 1;
    debited := debited + least(used_bytes[i], 9223372036854775807 - debited);
    IF left_available <= 0 THEN
      INSERT INTO wireguard_removals (instance, public_key, since)
        VALUES (own_instance, key, moment) ON CONFLICT (instance, public_key) DO NOTHING;
      IF FOUND THEN
        spent := spent + 1;
      END IF;
    END IF;
  END LOOP;
  RETURN NEXT;
END $$;

-- Inserts session records, or completes those that are open. again: some may have been written
-- before, by a transaction whose end is unknown.
CREATE FUNCTION lp_record_sessions(
  session_ids BIGINT[], lp_ids BIGINT[], client_ips TEXT[], starts BIGINT[], ends BIGINT[],
  new_statuses TEXT[], client_ids BIGINT[], again BOOLEAN)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. cardinality(session_ids) LOOP
    IF ends[i] IS NOT NULL THEN
      UPDATE lp_sessions SET session_id = session_ids[i], completed_at = ends[i],
          status = new_statuses[i], client_id = (SELECT c.id FROM clients AS c WHERE c.id = client_ids[i])
        WHERE id = (SELECT s.id FROM lp_sessions AS s WHERE s.lp_id = lp_ids[i]
          AND s.client_ip = client_ips[i] AND s.started_at = starts[i] AND s.completed_at IS NULL
          ORDER BY s.id LIMIT 1);
      CONTINUE WHEN FOUND;
    END IF;
    CONTINUE WHEN again AND EXISTS (SELECT 1 FROM lp_sessions AS s WHERE s.lp_id = lp_ids[i]
      AND s.client_ip = client_ips[i] AND s.started_at = starts[i]
      AND s.completed_at IS NOT DISTINCT FROM ends[i]);
    INSERT INTO lp_sessions
        (session_id, lp_id, client_ip, started_at, completed_at, status, client_id)
      VALUES (session_ids[i], lp_ids[i], client_ips[i], starts[i], ends[i], new_statuses[i],
              (SELECT c.id FROM clients AS c WHERE c.id = client_ids[i]));
  END LOOP;
END $$;
)sql";

}  // namespace lp::gateway::storage
