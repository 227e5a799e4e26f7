"""All tables of the first release. Written by ``migrations.generate``: do not edit."""
# fmt: off

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UP: dict[str, tuple[str, ...]] = {
    "sqlite": (
        """
CREATE TABLE bz_wakeups (
	topic VARCHAR(40) NOT NULL,
	version BIGINT NOT NULL,
	CONSTRAINT pk_bz_wakeups PRIMARY KEY (topic)
)
""",
        """
CREATE TABLE bz_api_keys (
	id VARCHAR(30) NOT NULL,
	name VARCHAR(80) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	hint VARCHAR(40) NOT NULL,
	mode VARCHAR(4) NOT NULL,
	owner_kind VARCHAR(12) NOT NULL,
	owner_id VARCHAR(30) NOT NULL,
	created_by VARCHAR(30),
	scopes TEXT NOT NULL,
	rate_limit INTEGER,
	created_at DATETIME NOT NULL,
	expires_at DATETIME,
	revoked_at DATETIME,
	replaced_by VARCHAR(30),
	last_used_at DATETIME,
	uses BIGINT NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_api_keys PRIMARY KEY (id),
	CONSTRAINT uq_bz_api_keys_digest UNIQUE (digest)
)
""",
        "CREATE INDEX ix_bz_api_keys_org_id ON bz_api_keys (org_id)",
        "CREATE INDEX ix_bz_api_keys_owner ON bz_api_keys (owner_id)",
        """
CREATE TABLE bz_orgs (
	id VARCHAR(30) NOT NULL,
	name VARCHAR(120) NOT NULL,
	slug VARCHAR(60) NOT NULL,
	"plan" VARCHAR(20) NOT NULL,
	settings TEXT NOT NULL,
	limits TEXT NOT NULL,
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	CONSTRAINT pk_bz_orgs PRIMARY KEY (id),
	CONSTRAINT uq_bz_orgs_slug UNIQUE (slug)
)
""",
        """
CREATE TABLE bz_events (
	stream VARCHAR(30) NOT NULL,
	sequence BIGINT NOT NULL,
	id VARCHAR(30) NOT NULL,
	type VARCHAR(100) NOT NULL,
	source VARCHAR(200) NOT NULL,
	user_id VARCHAR(30),
	timestamp DATETIME NOT NULL,
	data TEXT NOT NULL,
	correlation_id VARCHAR(200),
	compliance_level VARCHAR(16) NOT NULL,
	metadata TEXT NOT NULL,
	CONSTRAINT pk_bz_events PRIMARY KEY (stream, sequence),
	CONSTRAINT uq_bz_events_id UNIQUE (id)
)
""",
        "CREATE INDEX ix_bz_events_stream_timestamp ON bz_events (stream, timestamp)",
        "CREATE INDEX ix_bz_events_stream_type_sequence ON bz_events (stream, type, sequence)",
        """
CREATE TABLE bz_events_heads (
	stream VARCHAR(30) NOT NULL,
	sequence BIGINT NOT NULL,
	CONSTRAINT pk_bz_events_heads PRIMARY KEY (stream)
)
""",
        """
CREATE TABLE bz_events_inbox (
	consumer VARCHAR(100) NOT NULL,
	event_id VARCHAR(30) NOT NULL,
	seen_at DATETIME NOT NULL,
	CONSTRAINT pk_bz_events_inbox PRIMARY KEY (consumer, event_id)
)
""",
        "CREATE INDEX ix_bz_events_inbox_seen_at ON bz_events_inbox (seen_at)",
        """
CREATE TABLE bz_rbac_roles (
	id VARCHAR(30) NOT NULL,
	name VARCHAR(40) NOT NULL,
	description VARCHAR(400) NOT NULL,
	permissions TEXT NOT NULL,
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_rbac_roles PRIMARY KEY (id),
	CONSTRAINT uq_bz_rbac_roles_org_id_name UNIQUE (org_id, name)
)
""",
        "CREATE INDEX ix_bz_rbac_roles_org_id ON bz_rbac_roles (org_id)",
        """
CREATE TABLE bz_rbac_assignments (
	id VARCHAR(30) NOT NULL,
	user_id VARCHAR(30) NOT NULL,
	team_id VARCHAR(30) NOT NULL,
	role VARCHAR(40) NOT NULL,
	active BOOLEAN NOT NULL,
	created_at DATETIME NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_rbac_assignments PRIMARY KEY (id),
	CONSTRAINT uq_bz_rbac_assignments_org_id_user_id_team_id_role UNIQUE (org_id, user_id, team_id, role)
)
""",
        "CREATE INDEX ix_bz_rbac_assignments_org_id ON bz_rbac_assignments (org_id)",
        "CREATE INDEX ix_bz_rbac_assignments_user_id ON bz_rbac_assignments (user_id)",
        """
CREATE TABLE bz_rbac_grants (
	id VARCHAR(30) NOT NULL,
	user_id VARCHAR(30) NOT NULL,
	permission VARCHAR(100) NOT NULL,
	allowed BOOLEAN NOT NULL,
	reason VARCHAR(400) NOT NULL,
	granted_by VARCHAR(30),
	created_at DATETIME NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_rbac_grants PRIMARY KEY (id),
	CONSTRAINT uq_bz_rbac_grants_org_id_user_id_permission UNIQUE (org_id, user_id, permission)
)
""",
        "CREATE INDEX ix_bz_rbac_grants_org_id ON bz_rbac_grants (org_id)",
        "CREATE INDEX ix_bz_rbac_grants_user_id ON bz_rbac_grants (user_id)",
        """
CREATE TABLE bz_crypto_signing_keys (
	kid VARCHAR(43) NOT NULL,
	generation INTEGER NOT NULL,
	public TEXT NOT NULL,
	sealed BLOB NOT NULL,
	created_at DATETIME NOT NULL,
	starts_at DATETIME NOT NULL,
	ends_at DATETIME,
	CONSTRAINT pk_bz_crypto_signing_keys PRIMARY KEY (kid),
	CONSTRAINT uq_bz_crypto_signing_keys_generation UNIQUE (generation)
)
""",
        """
CREATE TABLE bz_idempotency (
	id VARCHAR(64) NOT NULL,
	caller_id VARCHAR(200) NOT NULL,
	request BLOB NOT NULL,
	token VARCHAR(32) NOT NULL,
	done BOOLEAN NOT NULL,
	lease_until DATETIME NOT NULL,
	created_at DATETIME NOT NULL,
	expires_at DATETIME NOT NULL,
	answer BLOB,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_idempotency PRIMARY KEY (id)
)
""",
        "CREATE INDEX ix_bz_idempotency_caller ON bz_idempotency (org_id, caller_id, created_at)",
        "CREATE INDEX ix_bz_idempotency_expires_at ON bz_idempotency (expires_at)",
        "CREATE INDEX ix_bz_idempotency_org_id ON bz_idempotency (org_id)",
        """
CREATE TABLE bz_identity_users (
	id VARCHAR(30) NOT NULL,
	email VARCHAR(320) NOT NULL,
	username VARCHAR(40),
	full_name VARCHAR(120),
	department VARCHAR(120),
	password_hash VARCHAR(500),
	is_active BOOLEAN NOT NULL,
	is_operator BOOLEAN NOT NULL,
	email_verified_at DATETIME,
	traits TEXT NOT NULL,
	last_sign_in_at DATETIME,
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	deleted_at DATETIME,
	CONSTRAINT pk_bz_identity_users PRIMARY KEY (id),
	CONSTRAINT uq_bz_identity_users_email UNIQUE (email),
	CONSTRAINT uq_bz_identity_users_username UNIQUE (username)
)
""",
        """
CREATE TABLE bz_identity_links (
	id VARCHAR(30) NOT NULL,
	user_id VARCHAR(30) NOT NULL,
	purpose VARCHAR(20) NOT NULL,
	email VARCHAR(320) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	created_at DATETIME NOT NULL,
	expires_at DATETIME NOT NULL,
	CONSTRAINT pk_bz_identity_links PRIMARY KEY (id),
	CONSTRAINT uq_bz_identity_links_user_id_purpose UNIQUE (user_id, purpose),
	CONSTRAINT uq_bz_identity_links_digest UNIQUE (digest)
)
""",
        """
CREATE TABLE bz_identity_attempts (
	"key" VARCHAR(80) NOT NULL,
	failures INTEGER NOT NULL,
	locks INTEGER NOT NULL,
	since DATETIME NOT NULL,
	locked_until DATETIME,
	forget_at DATETIME NOT NULL,
	CONSTRAINT pk_bz_identity_attempts PRIMARY KEY ("key")
)
""",
        "CREATE INDEX ix_bz_identity_attempts_forget_at ON bz_identity_attempts (forget_at)",
        """
CREATE TABLE bz_ip_allowlist (
	id VARCHAR(30) NOT NULL,
	role VARCHAR(40),
	addresses TEXT NOT NULL,
	callers TEXT NOT NULL,
	note VARCHAR(400) NOT NULL,
	enabled BOOLEAN NOT NULL,
	created_by VARCHAR(30),
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_ip_allowlist PRIMARY KEY (id)
)
""",
        "CREATE INDEX ix_bz_ip_allowlist_org_id ON bz_ip_allowlist (org_id)",
        """
CREATE TABLE bz_ip_allowlist_global (
	id VARCHAR(30) NOT NULL,
	role VARCHAR(40),
	addresses TEXT NOT NULL,
	callers TEXT NOT NULL,
	note VARCHAR(400) NOT NULL,
	enabled BOOLEAN NOT NULL,
	created_by VARCHAR(30),
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	CONSTRAINT pk_bz_ip_allowlist_global PRIMARY KEY (id)
)
""",
        """
CREATE TABLE bz_ip_allowlist_versions (
	scope VARCHAR(30) NOT NULL,
	version BIGINT NOT NULL,
	CONSTRAINT pk_bz_ip_allowlist_versions PRIMARY KEY (scope)
)
""",
        "CREATE INDEX ix_bz_ip_allowlist_versions_version ON bz_ip_allowlist_versions (version)",
        """
CREATE TABLE bz_sessions (
	id VARCHAR(30) NOT NULL,
	user_id VARCHAR(30) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	previous_digest VARCHAR(64),
	previous_until DATETIME,
	rotate BOOLEAN NOT NULL,
	org_id VARCHAR(30),
	team_id VARCHAR(30),
	method VARCHAR(20) NOT NULL,
	device VARCHAR(80) NOT NULL,
	user_agent VARCHAR(400),
	ip VARCHAR(64),
	actor_id VARCHAR(30),
	actor_session_id VARCHAR(30),
	reason VARCHAR(400),
	created_at DATETIME NOT NULL,
	last_seen_at DATETIME NOT NULL,
	expires_at DATETIME NOT NULL,
	CONSTRAINT pk_bz_sessions PRIMARY KEY (id),
	CONSTRAINT uq_bz_sessions_digest UNIQUE (digest),
	CONSTRAINT uq_bz_sessions_previous_digest UNIQUE (previous_digest)
)
""",
        "CREATE INDEX ix_bz_sessions_actor_id ON bz_sessions (actor_id)",
        "CREATE INDEX ix_bz_sessions_expires_at ON bz_sessions (expires_at)",
        "CREATE INDEX ix_bz_sessions_org_id ON bz_sessions (org_id)",
        "CREATE INDEX ix_bz_sessions_user_id ON bz_sessions (user_id)",
        """
CREATE TABLE bz_sessions_owner_links (
	id VARCHAR(30) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	created_at DATETIME NOT NULL,
	expires_at DATETIME NOT NULL,
	CONSTRAINT pk_bz_sessions_owner_links PRIMARY KEY (id),
	CONSTRAINT uq_bz_sessions_owner_links_digest UNIQUE (digest)
)
""",
        """
CREATE TABLE bz_audit_logs (
	log_id VARCHAR(30) NOT NULL,
	org_id VARCHAR(30),
	origin VARCHAR(200) NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_bz_audit_logs PRIMARY KEY (log_id),
	CONSTRAINT uq_bz_audit_logs_origin UNIQUE (origin)
)
""",
        """
CREATE TABLE bz_audit_events (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	id VARCHAR(30) NOT NULL,
	xid INTEGER DEFAULT NULL,
	log_id VARCHAR(30) NOT NULL,
	org_id VARCHAR(30),
	occurred_at DATETIME NOT NULL,
	action VARCHAR(100) NOT NULL,
	actor_type VARCHAR(16) NOT NULL,
	actor_id VARCHAR(100),
	on_behalf_of VARCHAR(100),
	target_type VARCHAR(100),
	target_id VARCHAR(200),
	outcome VARCHAR(16) NOT NULL,
	request_id VARCHAR(200),
	method VARCHAR(16),
	path VARCHAR(500),
	ip_mac VARCHAR(32),
	body BLOB NOT NULL,
	leaf BLOB NOT NULL,
	CONSTRAINT uq_bz_audit_events_id UNIQUE (id)
)
""",
        "CREATE INDEX ix_bz_audit_events_log_id_action_occurred_at ON bz_audit_events (log_id, action, occurred_at)",
        "CREATE INDEX ix_bz_audit_events_log_id_actor_id_occurred_at ON bz_audit_events (log_id, actor_id, occurred_at)",
        "CREATE INDEX ix_bz_audit_events_log_id_occurred_at ON bz_audit_events (log_id, occurred_at)",
        "CREATE INDEX ix_bz_audit_events_log_id_request_id ON bz_audit_events (log_id, request_id)",
        "CREATE INDEX ix_bz_audit_events_log_id_target_id_occurred_at ON bz_audit_events (log_id, target_id, occurred_at)",
        "CREATE INDEX ix_bz_audit_events_xid ON bz_audit_events (xid)",
        """
CREATE TRIGGER IF NOT EXISTS bz_audit_events_no_update BEFORE UPDATE ON bz_audit_events
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
""",
        """
CREATE TRIGGER IF NOT EXISTS bz_audit_events_no_delete BEFORE DELETE ON bz_audit_events
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
""",
        """
CREATE TABLE bz_audit_disclosures (
	event_id VARCHAR(30) NOT NULL,
	subject_id VARCHAR(100) NOT NULL,
	sealed BLOB NOT NULL,
	CONSTRAINT pk_bz_audit_disclosures PRIMARY KEY (event_id, subject_id)
)
""",
        "CREATE INDEX ix_bz_audit_disclosures_subject_id ON bz_audit_disclosures (subject_id)",
        """
CREATE TABLE bz_audit_subject_keys (
	subject_id VARCHAR(100) NOT NULL,
	wrapped BLOB,
	created_at DATETIME NOT NULL,
	erased_at DATETIME,
	CONSTRAINT pk_bz_audit_subject_keys PRIMARY KEY (subject_id)
)
""",
        """
CREATE TABLE bz_email_messages (
	id VARCHAR(30) NOT NULL,
	org_id VARCHAR(30),
	template VARCHAR(60) NOT NULL,
	recipient VARCHAR(320) NOT NULL,
	sealed BLOB,
	status VARCHAR(10) NOT NULL,
	attempts INTEGER NOT NULL,
	last_error TEXT,
	provider VARCHAR(20),
	provider_id VARCHAR(200),
	created_at DATETIME NOT NULL,
	sent_at DATETIME,
	CONSTRAINT pk_bz_email_messages PRIMARY KEY (id)
)
""",
        "CREATE INDEX ix_bz_email_messages_org_id_id ON bz_email_messages (org_id, id)",
        "CREATE INDEX ix_bz_email_messages_status_created_at ON bz_email_messages (status, created_at)",
        """
CREATE TABLE bz_jobs (
	id VARCHAR(30) NOT NULL,
	org_id VARCHAR(30),
	lane VARCHAR(30) NOT NULL,
	queue VARCHAR(40) NOT NULL,
	kind VARCHAR(120) NOT NULL,
	payload TEXT NOT NULL,
	state VARCHAR(9) NOT NULL,
	priority INTEGER NOT NULL,
	run_at DATETIME NOT NULL,
	attempts INTEGER NOT NULL,
	max_attempts INTEGER NOT NULL,
	timeout DOUBLE NOT NULL,
	lease_until DATETIME,
	lease_token VARCHAR(32),
	unique_key VARCHAR(200),
	last_error TEXT,
	fingerprint VARCHAR(16),
	correlation_id VARCHAR(200),
	created_at DATETIME NOT NULL,
	started_at DATETIME,
	finished_at DATETIME,
	CONSTRAINT pk_bz_jobs PRIMARY KEY (id)
)
""",
        "CREATE INDEX ix_bz_jobs_dead ON bz_jobs (lane, fingerprint) WHERE state = 'dead'",
        "CREATE INDEX ix_bz_jobs_finished ON bz_jobs (finished_at) WHERE state IN ('done', 'dead', 'cancelled')",
        "CREATE INDEX ix_bz_jobs_lane ON bz_jobs (lane, id)",
        "CREATE INDEX ix_bz_jobs_leased ON bz_jobs (lane, lease_until) WHERE state = 'leased'",
        "CREATE INDEX ix_bz_jobs_ready ON bz_jobs (queue, lane, priority DESC, run_at, id) WHERE state = 'ready'",
        "CREATE INDEX ix_bz_jobs_waiting ON bz_jobs (run_at) WHERE state = 'waiting'",
        "CREATE UNIQUE INDEX uq_bz_jobs_live_key ON bz_jobs (lane, unique_key) WHERE state IN ('waiting', 'ready', 'leased') AND unique_key IS NOT NULL",
        """
CREATE TABLE bz_jobs_schedules (
	id VARCHAR(30) NOT NULL,
	org_id VARCHAR(30),
	lane VARCHAR(30) NOT NULL,
	name VARCHAR(120) NOT NULL,
	kind VARCHAR(120) NOT NULL,
	payload TEXT NOT NULL,
	cron VARCHAR(120),
	every DOUBLE,
	zone VARCHAR(64) NOT NULL,
	catch_up VARCHAR(4) NOT NULL,
	fixed BOOLEAN NOT NULL,
	active BOOLEAN NOT NULL,
	next_run DATETIME NOT NULL,
	last_run DATETIME,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_bz_jobs_schedules PRIMARY KEY (id),
	CONSTRAINT uq_bz_jobs_schedules_lane_name UNIQUE (lane, name)
)
""",
        "CREATE INDEX ix_bz_jobs_schedules_due ON bz_jobs_schedules (active, next_run)",
        """
CREATE TABLE bz_preferences (
	id VARCHAR(30) NOT NULL,
	level VARCHAR(12) NOT NULL,
	owner_id VARCHAR(40) NOT NULL,
	"key" VARCHAR(80) NOT NULL,
	value TEXT NOT NULL,
	updated_at DATETIME NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_preferences PRIMARY KEY (id),
	CONSTRAINT uq_bz_preferences_org_id_owner_id_key UNIQUE (org_id, owner_id, "key")
)
""",
        "CREATE INDEX ix_bz_preferences_org_id ON bz_preferences (org_id)",
        """
CREATE TABLE bz_preferences_global (
	"key" VARCHAR(80) NOT NULL,
	value TEXT NOT NULL,
	updated_at DATETIME NOT NULL,
	CONSTRAINT pk_bz_preferences_global PRIMARY KEY ("key")
)
""",
        """
CREATE TABLE bz_limits (
	id VARCHAR(30) NOT NULL,
	scope VARCHAR(12) NOT NULL,
	target VARCHAR(200) NOT NULL,
	rate VARCHAR(60) NOT NULL,
	set_by VARCHAR(30),
	updated_at DATETIME NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_limits PRIMARY KEY (id),
	CONSTRAINT uq_bz_limits_org_id_scope_target UNIQUE (org_id, scope, target)
)
""",
        "CREATE INDEX ix_bz_limits_org_id ON bz_limits (org_id)",
        """
CREATE TABLE bz_limits_violations (
	id VARCHAR(30) NOT NULL,
	minute DATETIME NOT NULL,
	scope VARCHAR(12) NOT NULL,
	target VARCHAR(200) NOT NULL,
	rate VARCHAR(60) NOT NULL,
	count INTEGER NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_limits_violations PRIMARY KEY (id),
	CONSTRAINT uq_bz_limits_violations_org_id_minute_scope_target UNIQUE (org_id, minute, scope, target)
)
""",
        "CREATE INDEX ix_bz_limits_violations_org_id ON bz_limits_violations (org_id)",
        """
CREATE TABLE bz_limits_alerts (
	id VARCHAR(30) NOT NULL,
	scope VARCHAR(12) NOT NULL,
	told_at DATETIME NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_limits_alerts PRIMARY KEY (id),
	CONSTRAINT uq_bz_limits_alerts_org_id_scope UNIQUE (org_id, scope)
)
""",
        "CREATE INDEX ix_bz_limits_alerts_org_id ON bz_limits_alerts (org_id)",
        """
CREATE TABLE bz_secrets (
	id VARCHAR(30) NOT NULL,
	name VARCHAR(80) NOT NULL,
	version INTEGER NOT NULL,
	newest BOOLEAN NOT NULL,
	sealed BLOB NOT NULL,
	description VARCHAR(500) NOT NULL,
	created_at DATETIME NOT NULL,
	set_at DATETIME NOT NULL,
	set_by VARCHAR(80) NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_secrets PRIMARY KEY (id),
	CONSTRAINT uq_bz_secrets_org_id_name_version UNIQUE (org_id, name, version)
)
""",
        "CREATE INDEX ix_bz_secrets_org_id ON bz_secrets (org_id)",
        """
CREATE TABLE bz_secrets_platform (
	id VARCHAR(30) NOT NULL,
	name VARCHAR(80) NOT NULL,
	version INTEGER NOT NULL,
	newest BOOLEAN NOT NULL,
	sealed BLOB NOT NULL,
	description VARCHAR(500) NOT NULL,
	created_at DATETIME NOT NULL,
	set_at DATETIME NOT NULL,
	set_by VARCHAR(80) NOT NULL,
	CONSTRAINT pk_bz_secrets_platform PRIMARY KEY (id),
	CONSTRAINT uq_bz_secrets_platform_name_version UNIQUE (name, version)
)
""",
        """
CREATE TABLE bz_usage_counts (
	org_id VARCHAR(30) NOT NULL,
	grain VARCHAR(4) NOT NULL,
	start BIGINT NOT NULL,
	method VARCHAR(16) NOT NULL,
	route VARCHAR(200) NOT NULL,
	status SMALLINT NOT NULL,
	band SMALLINT NOT NULL,
	requests BIGINT NOT NULL,
	micros BIGINT NOT NULL,
	CONSTRAINT pk_bz_usage_counts PRIMARY KEY (org_id, grain, start, method, route, status, band)
)
 WITHOUT ROWID
""",
        "CREATE INDEX ix_bz_usage_counts_grain_start ON bz_usage_counts (grain, start)",
        """
CREATE TABLE bz_usage_callers (
	org_id VARCHAR(30) NOT NULL,
	grain VARCHAR(4) NOT NULL,
	start BIGINT NOT NULL,
	caller_id VARCHAR(100) NOT NULL,
	requests BIGINT NOT NULL,
	micros BIGINT NOT NULL,
	client_errors BIGINT NOT NULL,
	server_errors BIGINT NOT NULL,
	CONSTRAINT pk_bz_usage_callers PRIMARY KEY (org_id, grain, start, caller_id)
)
 WITHOUT ROWID
""",
        "CREATE INDEX ix_bz_usage_callers_grain_start ON bz_usage_callers (grain, start)",
        """
CREATE TABLE bz_usage_totals (
	org_id VARCHAR(30) NOT NULL,
	period VARCHAR(5) NOT NULL,
	start BIGINT NOT NULL,
	requests BIGINT NOT NULL,
	CONSTRAINT pk_bz_usage_totals PRIMARY KEY (org_id, period, start)
)
 WITHOUT ROWID
""",
        "CREATE INDEX ix_bz_usage_totals_period_start ON bz_usage_totals (period, start)",
        """
CREATE TABLE bz_usage_marks (
	org_id VARCHAR(30) NOT NULL,
	resource VARCHAR(40) NOT NULL,
	start BIGINT NOT NULL,
	quota BIGINT NOT NULL,
	told VARCHAR(10) NOT NULL,
	CONSTRAINT pk_bz_usage_marks PRIMARY KEY (org_id, resource, start, quota, told)
)
 WITHOUT ROWID
""",
        "CREATE INDEX ix_bz_usage_marks_start ON bz_usage_marks (start)",
        """
CREATE TABLE bz_usage_requests (
	org_id VARCHAR(30) NOT NULL,
	id VARCHAR(30) NOT NULL,
	size BIGINT NOT NULL,
	body TEXT NOT NULL,
	CONSTRAINT pk_bz_usage_requests PRIMARY KEY (org_id, id)
)
 WITHOUT ROWID
""",
        "CREATE INDEX ix_bz_usage_requests_id ON bz_usage_requests (id)",
        """
CREATE TABLE bz_usage_writers (
	id VARCHAR(30) NOT NULL,
	sequence BIGINT NOT NULL,
	seen BIGINT NOT NULL,
	CONSTRAINT pk_bz_usage_writers PRIMARY KEY (id)
)
""",
        "CREATE INDEX ix_bz_usage_writers_seen ON bz_usage_writers (seen)",
        """
CREATE TABLE bz_orgs_members (
	id VARCHAR(30) NOT NULL,
	user_id VARCHAR(30) NOT NULL,
	status VARCHAR(10) NOT NULL,
	source VARCHAR(20) NOT NULL,
	created_at DATETIME NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_orgs_members PRIMARY KEY (id),
	CONSTRAINT uq_bz_orgs_members_org_id_user_id UNIQUE (org_id, user_id),
	CONSTRAINT fk_bz_orgs_members_org_id_bz_orgs FOREIGN KEY(org_id) REFERENCES bz_orgs (id) ON DELETE CASCADE
)
""",
        "CREATE INDEX ix_bz_orgs_members_org_id ON bz_orgs_members (org_id)",
        "CREATE INDEX ix_bz_orgs_members_user_id ON bz_orgs_members (user_id)",
        """
CREATE TABLE bz_orgs_teams (
	id VARCHAR(30) NOT NULL,
	name VARCHAR(120) NOT NULL,
	slug VARCHAR(60) NOT NULL,
	description VARCHAR(400) NOT NULL,
	is_default BOOLEAN NOT NULL,
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_orgs_teams PRIMARY KEY (id),
	CONSTRAINT uq_bz_orgs_teams_org_id_slug UNIQUE (org_id, slug),
	CONSTRAINT uq_bz_orgs_teams_org_id_id UNIQUE (org_id, id),
	CONSTRAINT fk_bz_orgs_teams_org_id_bz_orgs FOREIGN KEY(org_id) REFERENCES bz_orgs (id) ON DELETE CASCADE
)
""",
        "CREATE INDEX ix_bz_orgs_teams_org_id ON bz_orgs_teams (org_id)",
        """
CREATE TABLE bz_orgs_domains (
	domain VARCHAR(253) NOT NULL,
	role VARCHAR(40) NOT NULL,
	created_at DATETIME NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_orgs_domains PRIMARY KEY (domain),
	CONSTRAINT fk_bz_orgs_domains_org_id_bz_orgs FOREIGN KEY(org_id) REFERENCES bz_orgs (id) ON DELETE CASCADE
)
""",
        "CREATE INDEX ix_bz_orgs_domains_org_id ON bz_orgs_domains (org_id)",
        """
CREATE TABLE bz_sessions_refresh (
	id VARCHAR(30) NOT NULL,
	session_id VARCHAR(30) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	created_at DATETIME NOT NULL,
	expires_at DATETIME NOT NULL,
	replaced_at DATETIME,
	CONSTRAINT pk_bz_sessions_refresh PRIMARY KEY (id),
	CONSTRAINT fk_bz_sessions_refresh_session_id_bz_sessions FOREIGN KEY(session_id) REFERENCES bz_sessions (id) ON DELETE CASCADE,
	CONSTRAINT uq_bz_sessions_refresh_digest UNIQUE (digest)
)
""",
        "CREATE INDEX ix_bz_sessions_refresh_session_id ON bz_sessions_refresh (session_id)",
        """
CREATE TABLE bz_orgs_team_members (
	id VARCHAR(30) NOT NULL,
	team_id VARCHAR(30) NOT NULL,
	user_id VARCHAR(30) NOT NULL,
	created_at DATETIME NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_orgs_team_members PRIMARY KEY (id),
	CONSTRAINT uq_bz_orgs_team_members_org_id_team_id_user_id UNIQUE (org_id, team_id, user_id),
	CONSTRAINT fk_bz_orgs_team_members_org_id_team_id_bz_orgs_teams FOREIGN KEY(org_id, team_id) REFERENCES bz_orgs_teams (org_id, id) ON DELETE CASCADE,
	CONSTRAINT fk_bz_orgs_team_members_member FOREIGN KEY(org_id, user_id) REFERENCES bz_orgs_members (org_id, user_id) ON DELETE CASCADE,
	CONSTRAINT fk_bz_orgs_team_members_org_id_bz_orgs FOREIGN KEY(org_id) REFERENCES bz_orgs (id) ON DELETE CASCADE
)
""",
        "CREATE INDEX ix_bz_orgs_team_members_org_id ON bz_orgs_team_members (org_id)",
        "CREATE INDEX ix_bz_orgs_team_members_user_id ON bz_orgs_team_members (user_id)",
        """
CREATE TABLE bz_orgs_workspaces (
	id VARCHAR(30) NOT NULL,
	team_id VARCHAR(30),
	name VARCHAR(120) NOT NULL,
	slug VARCHAR(60) NOT NULL,
	settings TEXT NOT NULL,
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_orgs_workspaces PRIMARY KEY (id),
	CONSTRAINT uq_bz_orgs_workspaces_org_id_slug UNIQUE (org_id, slug),
	CONSTRAINT uq_bz_orgs_workspaces_org_id_id UNIQUE (org_id, id),
	CONSTRAINT fk_bz_orgs_workspaces_org_id_team_id_bz_orgs_teams FOREIGN KEY(org_id, team_id) REFERENCES bz_orgs_teams (org_id, id) ON DELETE CASCADE,
	CONSTRAINT fk_bz_orgs_workspaces_org_id_bz_orgs FOREIGN KEY(org_id) REFERENCES bz_orgs (id) ON DELETE CASCADE
)
""",
        "CREATE INDEX ix_bz_orgs_workspaces_org_id ON bz_orgs_workspaces (org_id)",
        """
CREATE TABLE bz_orgs_invitations (
	id VARCHAR(30) NOT NULL,
	email VARCHAR(320) NOT NULL,
	role VARCHAR(40) NOT NULL,
	team_id VARCHAR(30),
	token_digest VARCHAR(64) NOT NULL,
	invited_by VARCHAR(30),
	created_at DATETIME NOT NULL,
	expires_at DATETIME NOT NULL,
	accepted_at DATETIME,
	accepted_by VARCHAR(30),
	revoked_at DATETIME,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_orgs_invitations PRIMARY KEY (id),
	CONSTRAINT fk_bz_orgs_invitations_org_id_team_id_bz_orgs_teams FOREIGN KEY(org_id, team_id) REFERENCES bz_orgs_teams (org_id, id) ON DELETE CASCADE,
	CONSTRAINT uq_bz_orgs_invitations_token_digest UNIQUE (token_digest),
	CONSTRAINT fk_bz_orgs_invitations_org_id_bz_orgs FOREIGN KEY(org_id) REFERENCES bz_orgs (id) ON DELETE CASCADE
)
""",
        "CREATE INDEX ix_bz_orgs_invitations_email ON bz_orgs_invitations (email)",
        "CREATE INDEX ix_bz_orgs_invitations_org_id ON bz_orgs_invitations (org_id)",
    ),
    "postgresql": (
        """
CREATE TABLE bz_wakeups (
	topic VARCHAR(40) NOT NULL,
	version BIGINT NOT NULL,
	CONSTRAINT pk_bz_wakeups PRIMARY KEY (topic)
)
""",
        """
CREATE TABLE bz_api_keys (
	id VARCHAR(30) NOT NULL,
	name VARCHAR(80) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	hint VARCHAR(40) NOT NULL,
	mode VARCHAR(4) NOT NULL,
	owner_kind VARCHAR(12) NOT NULL,
	owner_id VARCHAR(30) NOT NULL,
	created_by VARCHAR(30),
	scopes JSONB NOT NULL,
	rate_limit INTEGER,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE,
	revoked_at TIMESTAMP WITH TIME ZONE,
	replaced_by VARCHAR(30),
	last_used_at TIMESTAMP WITH TIME ZONE,
	uses BIGINT NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_api_keys PRIMARY KEY (id),
	CONSTRAINT uq_bz_api_keys_digest UNIQUE (digest)
)
""",
        "CREATE INDEX ix_bz_api_keys_org_id ON bz_api_keys (org_id)",
        "CREATE INDEX ix_bz_api_keys_owner ON bz_api_keys (owner_id)",
        """
CREATE TABLE bz_orgs (
	id VARCHAR(30) NOT NULL,
	name VARCHAR(120) NOT NULL,
	slug VARCHAR(60) NOT NULL,
	plan VARCHAR(20) NOT NULL,
	settings JSONB NOT NULL,
	limits JSONB NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_bz_orgs PRIMARY KEY (id),
	CONSTRAINT uq_bz_orgs_slug UNIQUE (slug)
)
""",
        """
CREATE TABLE bz_events (
	stream VARCHAR(30) NOT NULL,
	sequence BIGINT NOT NULL,
	id VARCHAR(30) NOT NULL,
	type VARCHAR(100) NOT NULL,
	source VARCHAR(200) NOT NULL,
	user_id VARCHAR(30),
	timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
	data JSONB NOT NULL,
	correlation_id VARCHAR(200),
	compliance_level VARCHAR(16) NOT NULL,
	metadata JSONB NOT NULL,
	CONSTRAINT pk_bz_events PRIMARY KEY (stream, sequence),
	CONSTRAINT uq_bz_events_id UNIQUE (id)
)
""",
        "CREATE INDEX ix_bz_events_stream_timestamp ON bz_events (stream, timestamp)",
        "CREATE INDEX ix_bz_events_stream_type_sequence ON bz_events (stream, type, sequence)",
        """
CREATE TABLE bz_events_heads (
	stream VARCHAR(30) NOT NULL,
	sequence BIGINT NOT NULL,
	CONSTRAINT pk_bz_events_heads PRIMARY KEY (stream)
)
""",
        """
CREATE TABLE bz_events_inbox (
	consumer VARCHAR(100) NOT NULL,
	event_id VARCHAR(30) NOT NULL,
	seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_bz_events_inbox PRIMARY KEY (consumer, event_id)
)
""",
        "CREATE INDEX ix_bz_events_inbox_seen_at ON bz_events_inbox (seen_at)",
        """
CREATE TABLE bz_rbac_roles (
	id VARCHAR(30) NOT NULL,
	name VARCHAR(40) NOT NULL,
	description VARCHAR(400) NOT NULL,
	permissions JSONB NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_rbac_roles PRIMARY KEY (id),
	CONSTRAINT uq_bz_rbac_roles_org_id_name UNIQUE (org_id, name)
)
""",
        "CREATE INDEX ix_bz_rbac_roles_org_id ON bz_rbac_roles (org_id)",
        """
CREATE TABLE bz_rbac_assignments (
	id VARCHAR(30) NOT NULL,
	user_id VARCHAR(30) NOT NULL,
	team_id VARCHAR(30) NOT NULL,
	role VARCHAR(40) NOT NULL,
	active BOOLEAN NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_rbac_assignments PRIMARY KEY (id),
	CONSTRAINT uq_bz_rbac_assignments_org_id_user_id_team_id_role UNIQUE (org_id, user_id, team_id, role)
)
""",
        "CREATE INDEX ix_bz_rbac_assignments_org_id ON bz_rbac_assignments (org_id)",
        "CREATE INDEX ix_bz_rbac_assignments_user_id ON bz_rbac_assignments (user_id)",
        """
CREATE TABLE bz_rbac_grants (
	id VARCHAR(30) NOT NULL,
	user_id VARCHAR(30) NOT NULL,
	permission VARCHAR(100) NOT NULL,
	allowed BOOLEAN NOT NULL,
	reason VARCHAR(400) NOT NULL,
	granted_by VARCHAR(30),
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_rbac_grants PRIMARY KEY (id),
	CONSTRAINT uq_bz_rbac_grants_org_id_user_id_permission UNIQUE (org_id, user_id, permission)
)
""",
        "CREATE INDEX ix_bz_rbac_grants_org_id ON bz_rbac_grants (org_id)",
        "CREATE INDEX ix_bz_rbac_grants_user_id ON bz_rbac_grants (user_id)",
        """
CREATE TABLE bz_crypto_signing_keys (
	kid VARCHAR(43) NOT NULL,
	generation INTEGER NOT NULL,
	public JSONB NOT NULL,
	sealed BYTEA NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
	ends_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_bz_crypto_signing_keys PRIMARY KEY (kid),
	CONSTRAINT uq_bz_crypto_signing_keys_generation UNIQUE (generation)
)
""",
        """
CREATE TABLE bz_idempotency (
	id VARCHAR(64) NOT NULL,
	caller_id VARCHAR(200) NOT NULL,
	request BYTEA NOT NULL,
	token VARCHAR(32) NOT NULL,
	done BOOLEAN NOT NULL,
	lease_until TIMESTAMP WITH TIME ZONE NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	answer BYTEA,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_idempotency PRIMARY KEY (id)
)
""",
        "CREATE INDEX ix_bz_idempotency_caller ON bz_idempotency (org_id, caller_id, created_at)",
        "CREATE INDEX ix_bz_idempotency_expires_at ON bz_idempotency (expires_at)",
        "CREATE INDEX ix_bz_idempotency_org_id ON bz_idempotency (org_id)",
        """
CREATE TABLE bz_identity_users (
	id VARCHAR(30) NOT NULL,
	email VARCHAR(320) NOT NULL,
	username VARCHAR(40),
	full_name VARCHAR(120),
	department VARCHAR(120),
	password_hash VARCHAR(500),
	is_active BOOLEAN NOT NULL,
	is_operator BOOLEAN NOT NULL,
	email_verified_at TIMESTAMP WITH TIME ZONE,
	traits JSONB NOT NULL,
	last_sign_in_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	deleted_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_bz_identity_users PRIMARY KEY (id),
	CONSTRAINT uq_bz_identity_users_email UNIQUE (email),
	CONSTRAINT uq_bz_identity_users_username UNIQUE (username)
)
""",
        """
CREATE TABLE bz_identity_links (
	id VARCHAR(30) NOT NULL,
	user_id VARCHAR(30) NOT NULL,
	purpose VARCHAR(20) NOT NULL,
	email VARCHAR(320) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_bz_identity_links PRIMARY KEY (id),
	CONSTRAINT uq_bz_identity_links_user_id_purpose UNIQUE (user_id, purpose),
	CONSTRAINT uq_bz_identity_links_digest UNIQUE (digest)
)
""",
        """
CREATE TABLE bz_identity_attempts (
	key VARCHAR(80) NOT NULL,
	failures INTEGER NOT NULL,
	locks INTEGER NOT NULL,
	since TIMESTAMP WITH TIME ZONE NOT NULL,
	locked_until TIMESTAMP WITH TIME ZONE,
	forget_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_bz_identity_attempts PRIMARY KEY (key)
)
""",
        "CREATE INDEX ix_bz_identity_attempts_forget_at ON bz_identity_attempts (forget_at)",
        """
CREATE TABLE bz_ip_allowlist (
	id VARCHAR(30) NOT NULL,
	role VARCHAR(40),
	addresses JSONB NOT NULL,
	callers JSONB NOT NULL,
	note VARCHAR(400) NOT NULL,
	enabled BOOLEAN NOT NULL,
	created_by VARCHAR(30),
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_ip_allowlist PRIMARY KEY (id)
)
""",
        "CREATE INDEX ix_bz_ip_allowlist_org_id ON bz_ip_allowlist (org_id)",
        """
CREATE TABLE bz_ip_allowlist_global (
	id VARCHAR(30) NOT NULL,
	role VARCHAR(40),
	addresses JSONB NOT NULL,
	callers JSONB NOT NULL,
	note VARCHAR(400) NOT NULL,
	enabled BOOLEAN NOT NULL,
	created_by VARCHAR(30),
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_bz_ip_allowlist_global PRIMARY KEY (id)
)
""",
        """
CREATE TABLE bz_ip_allowlist_versions (
	scope VARCHAR(30) NOT NULL,
	version BIGINT NOT NULL,
	CONSTRAINT pk_bz_ip_allowlist_versions PRIMARY KEY (scope)
)
""",
        "CREATE INDEX ix_bz_ip_allowlist_versions_version ON bz_ip_allowlist_versions (version)",
        """
CREATE TABLE bz_sessions (
	id VARCHAR(30) NOT NULL,
	user_id VARCHAR(30) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	previous_digest VARCHAR(64),
	previous_until TIMESTAMP WITH TIME ZONE,
	rotate BOOLEAN NOT NULL,
	org_id VARCHAR(30),
	team_id VARCHAR(30),
	method VARCHAR(20) NOT NULL,
	device VARCHAR(80) NOT NULL,
	user_agent VARCHAR(400),
	ip VARCHAR(64),
	actor_id VARCHAR(30),
	actor_session_id VARCHAR(30),
	reason VARCHAR(400),
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	last_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_bz_sessions PRIMARY KEY (id),
	CONSTRAINT uq_bz_sessions_digest UNIQUE (digest),
	CONSTRAINT uq_bz_sessions_previous_digest UNIQUE (previous_digest)
)
""",
        "CREATE INDEX ix_bz_sessions_actor_id ON bz_sessions (actor_id)",
        "CREATE INDEX ix_bz_sessions_expires_at ON bz_sessions (expires_at)",
        "CREATE INDEX ix_bz_sessions_org_id ON bz_sessions (org_id)",
        "CREATE INDEX ix_bz_sessions_user_id ON bz_sessions (user_id)",
        """
CREATE TABLE bz_sessions_owner_links (
	id VARCHAR(30) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_bz_sessions_owner_links PRIMARY KEY (id),
	CONSTRAINT uq_bz_sessions_owner_links_digest UNIQUE (digest)
)
""",
        """
CREATE TABLE bz_audit_logs (
	log_id VARCHAR(30) NOT NULL,
	org_id VARCHAR(30),
	origin VARCHAR(200) NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_bz_audit_logs PRIMARY KEY (log_id),
	CONSTRAINT uq_bz_audit_logs_origin UNIQUE (origin)
)
""",
        """
CREATE TABLE bz_audit_events (
	number BIGSERIAL NOT NULL,
	id VARCHAR(30) NOT NULL,
	xid xid8 DEFAULT pg_current_xact_id(),
	log_id VARCHAR(30) NOT NULL,
	org_id VARCHAR(30),
	occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
	action VARCHAR(100) NOT NULL,
	actor_type VARCHAR(16) NOT NULL,
	actor_id VARCHAR(100),
	on_behalf_of VARCHAR(100),
	target_type VARCHAR(100),
	target_id VARCHAR(200),
	outcome VARCHAR(16) NOT NULL,
	request_id VARCHAR(200),
	method VARCHAR(16),
	path VARCHAR(500),
	ip_mac VARCHAR(32),
	body BYTEA NOT NULL,
	leaf BYTEA NOT NULL,
	CONSTRAINT pk_bz_audit_events PRIMARY KEY (number),
	CONSTRAINT uq_bz_audit_events_id UNIQUE (id)
)
""",
        "CREATE INDEX ix_bz_audit_events_log_id_action_occurred_at ON bz_audit_events (log_id, action, occurred_at)",
        "CREATE INDEX ix_bz_audit_events_log_id_actor_id_occurred_at ON bz_audit_events (log_id, actor_id, occurred_at)",
        "CREATE INDEX ix_bz_audit_events_log_id_occurred_at ON bz_audit_events (log_id, occurred_at)",
        "CREATE INDEX ix_bz_audit_events_log_id_request_id ON bz_audit_events (log_id, request_id)",
        "CREATE INDEX ix_bz_audit_events_log_id_target_id_occurred_at ON bz_audit_events (log_id, target_id, occurred_at)",
        "CREATE INDEX ix_bz_audit_events_xid ON bz_audit_events (xid)",
        """
CREATE OR REPLACE FUNCTION bz_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege'; END $$
""",
        """
CREATE OR REPLACE TRIGGER bz_audit_events_no_change BEFORE UPDATE OR DELETE ON bz_audit_events
        FOR EACH ROW EXECUTE FUNCTION bz_audit_append_only()
""",
        """
CREATE OR REPLACE TRIGGER bz_audit_events_no_truncate BEFORE TRUNCATE ON bz_audit_events
        FOR EACH STATEMENT EXECUTE FUNCTION bz_audit_append_only()
""",
        """
CREATE TABLE bz_audit_disclosures (
	event_id VARCHAR(30) NOT NULL,
	subject_id VARCHAR(100) NOT NULL,
	sealed BYTEA NOT NULL,
	CONSTRAINT pk_bz_audit_disclosures PRIMARY KEY (event_id, subject_id)
)
""",
        "CREATE INDEX ix_bz_audit_disclosures_subject_id ON bz_audit_disclosures (subject_id)",
        """
CREATE TABLE bz_audit_subject_keys (
	subject_id VARCHAR(100) NOT NULL,
	wrapped BYTEA,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	erased_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_bz_audit_subject_keys PRIMARY KEY (subject_id)
)
""",
        """
CREATE TABLE bz_email_messages (
	id VARCHAR(30) NOT NULL,
	org_id VARCHAR(30),
	template VARCHAR(60) NOT NULL,
	recipient VARCHAR(320) NOT NULL,
	sealed BYTEA,
	status VARCHAR(10) NOT NULL,
	attempts INTEGER NOT NULL,
	last_error TEXT,
	provider VARCHAR(20),
	provider_id VARCHAR(200),
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	sent_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_bz_email_messages PRIMARY KEY (id)
)
""",
        "CREATE INDEX ix_bz_email_messages_org_id_id ON bz_email_messages (org_id, id)",
        "CREATE INDEX ix_bz_email_messages_status_created_at ON bz_email_messages (status, created_at)",
        """
CREATE TABLE bz_jobs (
	id VARCHAR(30) NOT NULL,
	org_id VARCHAR(30),
	lane VARCHAR(30) NOT NULL,
	queue VARCHAR(40) NOT NULL,
	kind VARCHAR(120) NOT NULL,
	payload JSONB NOT NULL,
	state VARCHAR(9) NOT NULL,
	priority INTEGER NOT NULL,
	run_at TIMESTAMP WITH TIME ZONE NOT NULL,
	attempts INTEGER NOT NULL,
	max_attempts INTEGER NOT NULL,
	timeout DOUBLE PRECISION NOT NULL,
	lease_until TIMESTAMP WITH TIME ZONE,
	lease_token VARCHAR(32),
	unique_key VARCHAR(200),
	last_error TEXT,
	fingerprint VARCHAR(16),
	correlation_id VARCHAR(200),
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	started_at TIMESTAMP WITH TIME ZONE,
	finished_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_bz_jobs PRIMARY KEY (id)
)
""",
        "CREATE INDEX ix_bz_jobs_dead ON bz_jobs (lane, fingerprint) WHERE state = 'dead'",
        "CREATE INDEX ix_bz_jobs_finished ON bz_jobs (finished_at) WHERE state IN ('done', 'dead', 'cancelled')",
        "CREATE INDEX ix_bz_jobs_lane ON bz_jobs (lane, id)",
        "CREATE INDEX ix_bz_jobs_leased ON bz_jobs (lane, lease_until) WHERE state = 'leased'",
        "CREATE INDEX ix_bz_jobs_ready ON bz_jobs (queue, lane, priority DESC, run_at, id) WHERE state = 'ready'",
        "CREATE INDEX ix_bz_jobs_waiting ON bz_jobs (run_at) WHERE state = 'waiting'",
        "CREATE UNIQUE INDEX uq_bz_jobs_live_key ON bz_jobs (lane, unique_key) WHERE state IN ('waiting', 'ready', 'leased') AND unique_key IS NOT NULL",
        """
CREATE TABLE bz_jobs_schedules (
	id VARCHAR(30) NOT NULL,
	org_id VARCHAR(30),
	lane VARCHAR(30) NOT NULL,
	name VARCHAR(120) NOT NULL,
	kind VARCHAR(120) NOT NULL,
	payload JSONB NOT NULL,
	cron VARCHAR(120),
	every DOUBLE PRECISION,
	zone VARCHAR(64) NOT NULL,
	catch_up VARCHAR(4) NOT NULL,
	fixed BOOLEAN NOT NULL,
	active BOOLEAN NOT NULL,
	next_run TIMESTAMP WITH TIME ZONE NOT NULL,
	last_run TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_bz_jobs_schedules PRIMARY KEY (id),
	CONSTRAINT uq_bz_jobs_schedules_lane_name UNIQUE (lane, name)
)
""",
        "CREATE INDEX ix_bz_jobs_schedules_due ON bz_jobs_schedules (active, next_run)",
        """
CREATE TABLE bz_preferences (
	id VARCHAR(30) NOT NULL,
	level VARCHAR(12) NOT NULL,
	owner_id VARCHAR(40) NOT NULL,
	key VARCHAR(80) NOT NULL,
	value TEXT NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_preferences PRIMARY KEY (id),
	CONSTRAINT uq_bz_preferences_org_id_owner_id_key UNIQUE (org_id, owner_id, key)
)
""",
        "CREATE INDEX ix_bz_preferences_org_id ON bz_preferences (org_id)",
        """
CREATE TABLE bz_preferences_global (
	key VARCHAR(80) NOT NULL,
	value TEXT NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_bz_preferences_global PRIMARY KEY (key)
)
""",
        """
CREATE TABLE bz_limits (
	id VARCHAR(30) NOT NULL,
	scope VARCHAR(12) NOT NULL,
	target VARCHAR(200) NOT NULL,
	rate VARCHAR(60) NOT NULL,
	set_by VARCHAR(30),
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_limits PRIMARY KEY (id),
	CONSTRAINT uq_bz_limits_org_id_scope_target UNIQUE (org_id, scope, target)
)
""",
        "CREATE INDEX ix_bz_limits_org_id ON bz_limits (org_id)",
        """
CREATE TABLE bz_limits_violations (
	id VARCHAR(30) NOT NULL,
	minute TIMESTAMP WITH TIME ZONE NOT NULL,
	scope VARCHAR(12) NOT NULL,
	target VARCHAR(200) NOT NULL,
	rate VARCHAR(60) NOT NULL,
	count INTEGER NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_limits_violations PRIMARY KEY (id),
	CONSTRAINT uq_bz_limits_violations_org_id_minute_scope_target UNIQUE (org_id, minute, scope, target)
)
""",
        "CREATE INDEX ix_bz_limits_violations_org_id ON bz_limits_violations (org_id)",
        """
CREATE TABLE bz_limits_alerts (
	id VARCHAR(30) NOT NULL,
	scope VARCHAR(12) NOT NULL,
	told_at TIMESTAMP WITH TIME ZONE NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_limits_alerts PRIMARY KEY (id),
	CONSTRAINT uq_bz_limits_alerts_org_id_scope UNIQUE (org_id, scope)
)
""",
        "CREATE INDEX ix_bz_limits_alerts_org_id ON bz_limits_alerts (org_id)",
        """
CREATE TABLE bz_secrets (
	id VARCHAR(30) NOT NULL,
	name VARCHAR(80) NOT NULL,
	version INTEGER NOT NULL,
	newest BOOLEAN NOT NULL,
	sealed BYTEA NOT NULL,
	description VARCHAR(500) NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	set_at TIMESTAMP WITH TIME ZONE NOT NULL,
	set_by VARCHAR(80) NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_secrets PRIMARY KEY (id),
	CONSTRAINT uq_bz_secrets_org_id_name_version UNIQUE (org_id, name, version)
)
""",
        "CREATE INDEX ix_bz_secrets_org_id ON bz_secrets (org_id)",
        """
CREATE TABLE bz_secrets_platform (
	id VARCHAR(30) NOT NULL,
	name VARCHAR(80) NOT NULL,
	version INTEGER NOT NULL,
	newest BOOLEAN NOT NULL,
	sealed BYTEA NOT NULL,
	description VARCHAR(500) NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	set_at TIMESTAMP WITH TIME ZONE NOT NULL,
	set_by VARCHAR(80) NOT NULL,
	CONSTRAINT pk_bz_secrets_platform PRIMARY KEY (id),
	CONSTRAINT uq_bz_secrets_platform_name_version UNIQUE (name, version)
)
""",
        """
CREATE TABLE bz_usage_counts (
	org_id VARCHAR(30) NOT NULL,
	grain VARCHAR(4) NOT NULL,
	start BIGINT NOT NULL,
	method VARCHAR(16) NOT NULL,
	route VARCHAR(200) NOT NULL,
	status SMALLINT NOT NULL,
	band SMALLINT NOT NULL,
	requests BIGINT NOT NULL,
	micros BIGINT NOT NULL,
	CONSTRAINT pk_bz_usage_counts PRIMARY KEY (org_id, grain, start, method, route, status, band)
)
""",
        "CREATE INDEX ix_bz_usage_counts_grain_start ON bz_usage_counts (grain, start)",
        """
CREATE TABLE bz_usage_callers (
	org_id VARCHAR(30) NOT NULL,
	grain VARCHAR(4) NOT NULL,
	start BIGINT NOT NULL,
	caller_id VARCHAR(100) NOT NULL,
	requests BIGINT NOT NULL,
	micros BIGINT NOT NULL,
	client_errors BIGINT NOT NULL,
	server_errors BIGINT NOT NULL,
	CONSTRAINT pk_bz_usage_callers PRIMARY KEY (org_id, grain, start, caller_id)
)
""",
        "CREATE INDEX ix_bz_usage_callers_grain_start ON bz_usage_callers (grain, start)",
        """
CREATE TABLE bz_usage_totals (
	org_id VARCHAR(30) NOT NULL,
	period VARCHAR(5) NOT NULL,
	start BIGINT NOT NULL,
	requests BIGINT NOT NULL,
	CONSTRAINT pk_bz_usage_totals PRIMARY KEY (org_id, period, start)
)
""",
        "CREATE INDEX ix_bz_usage_totals_period_start ON bz_usage_totals (period, start)",
        """
CREATE TABLE bz_usage_marks (
	org_id VARCHAR(30) NOT NULL,
	resource VARCHAR(40) NOT NULL,
	start BIGINT NOT NULL,
	quota BIGINT NOT NULL,
	told VARCHAR(10) NOT NULL,
	CONSTRAINT pk_bz_usage_marks PRIMARY KEY (org_id, resource, start, quota, told)
)
""",
        "CREATE INDEX ix_bz_usage_marks_start ON bz_usage_marks (start)",
        """
CREATE TABLE bz_usage_requests (
	org_id VARCHAR(30) NOT NULL,
	id VARCHAR(30) NOT NULL,
	size BIGINT NOT NULL,
	body TEXT NOT NULL,
	CONSTRAINT pk_bz_usage_requests PRIMARY KEY (org_id, id)
)
""",
        "CREATE INDEX ix_bz_usage_requests_id ON bz_usage_requests (id)",
        """
CREATE TABLE bz_usage_writers (
	id VARCHAR(30) NOT NULL,
	sequence BIGINT NOT NULL,
	seen BIGINT NOT NULL,
	CONSTRAINT pk_bz_usage_writers PRIMARY KEY (id)
)
""",
        "CREATE INDEX ix_bz_usage_writers_seen ON bz_usage_writers (seen)",
        """
CREATE TABLE bz_orgs_members (
	id VARCHAR(30) NOT NULL,
	user_id VARCHAR(30) NOT NULL,
	status VARCHAR(10) NOT NULL,
	source VARCHAR(20) NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_orgs_members PRIMARY KEY (id),
	CONSTRAINT uq_bz_orgs_members_org_id_user_id UNIQUE (org_id, user_id),
	CONSTRAINT fk_bz_orgs_members_org_id_bz_orgs FOREIGN KEY(org_id) REFERENCES bz_orgs (id) ON DELETE CASCADE
)
""",
        "CREATE INDEX ix_bz_orgs_members_org_id ON bz_orgs_members (org_id)",
        "CREATE INDEX ix_bz_orgs_members_user_id ON bz_orgs_members (user_id)",
        """
CREATE TABLE bz_orgs_teams (
	id VARCHAR(30) NOT NULL,
	name VARCHAR(120) NOT NULL,
	slug VARCHAR(60) NOT NULL,
	description VARCHAR(400) NOT NULL,
	is_default BOOLEAN NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_orgs_teams PRIMARY KEY (id),
	CONSTRAINT uq_bz_orgs_teams_org_id_slug UNIQUE (org_id, slug),
	CONSTRAINT uq_bz_orgs_teams_org_id_id UNIQUE (org_id, id),
	CONSTRAINT fk_bz_orgs_teams_org_id_bz_orgs FOREIGN KEY(org_id) REFERENCES bz_orgs (id) ON DELETE CASCADE
)
""",
        "CREATE INDEX ix_bz_orgs_teams_org_id ON bz_orgs_teams (org_id)",
        """
CREATE TABLE bz_orgs_domains (
	domain VARCHAR(253) NOT NULL,
	role VARCHAR(40) NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_orgs_domains PRIMARY KEY (domain),
	CONSTRAINT fk_bz_orgs_domains_org_id_bz_orgs FOREIGN KEY(org_id) REFERENCES bz_orgs (id) ON DELETE CASCADE
)
""",
        "CREATE INDEX ix_bz_orgs_domains_org_id ON bz_orgs_domains (org_id)",
        """
CREATE TABLE bz_sessions_refresh (
	id VARCHAR(30) NOT NULL,
	session_id VARCHAR(30) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	replaced_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_bz_sessions_refresh PRIMARY KEY (id),
	CONSTRAINT fk_bz_sessions_refresh_session_id_bz_sessions FOREIGN KEY(session_id) REFERENCES bz_sessions (id) ON DELETE CASCADE,
	CONSTRAINT uq_bz_sessions_refresh_digest UNIQUE (digest)
)
""",
        "CREATE INDEX ix_bz_sessions_refresh_session_id ON bz_sessions_refresh (session_id)",
        """
CREATE TABLE bz_orgs_team_members (
	id VARCHAR(30) NOT NULL,
	team_id VARCHAR(30) NOT NULL,
	user_id VARCHAR(30) NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_orgs_team_members PRIMARY KEY (id),
	CONSTRAINT uq_bz_orgs_team_members_org_id_team_id_user_id UNIQUE (org_id, team_id, user_id),
	CONSTRAINT fk_bz_orgs_team_members_org_id_team_id_bz_orgs_teams FOREIGN KEY(org_id, team_id) REFERENCES bz_orgs_teams (org_id, id) ON DELETE CASCADE,
	CONSTRAINT fk_bz_orgs_team_members_member FOREIGN KEY(org_id, user_id) REFERENCES bz_orgs_members (org_id, user_id) ON DELETE CASCADE,
	CONSTRAINT fk_bz_orgs_team_members_org_id_bz_orgs FOREIGN KEY(org_id) REFERENCES bz_orgs (id) ON DELETE CASCADE
)
""",
        "CREATE INDEX ix_bz_orgs_team_members_org_id ON bz_orgs_team_members (org_id)",
        "CREATE INDEX ix_bz_orgs_team_members_user_id ON bz_orgs_team_members (user_id)",
        """
CREATE TABLE bz_orgs_workspaces (
	id VARCHAR(30) NOT NULL,
	team_id VARCHAR(30),
	name VARCHAR(120) NOT NULL,
	slug VARCHAR(60) NOT NULL,
	settings JSONB NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_orgs_workspaces PRIMARY KEY (id),
	CONSTRAINT uq_bz_orgs_workspaces_org_id_slug UNIQUE (org_id, slug),
	CONSTRAINT uq_bz_orgs_workspaces_org_id_id UNIQUE (org_id, id),
	CONSTRAINT fk_bz_orgs_workspaces_org_id_team_id_bz_orgs_teams FOREIGN KEY(org_id, team_id) REFERENCES bz_orgs_teams (org_id, id) ON DELETE CASCADE,
	CONSTRAINT fk_bz_orgs_workspaces_org_id_bz_orgs FOREIGN KEY(org_id) REFERENCES bz_orgs (id) ON DELETE CASCADE
)
""",
        "CREATE INDEX ix_bz_orgs_workspaces_org_id ON bz_orgs_workspaces (org_id)",
        """
CREATE TABLE bz_orgs_invitations (
	id VARCHAR(30) NOT NULL,
	email VARCHAR(320) NOT NULL,
	role VARCHAR(40) NOT NULL,
	team_id VARCHAR(30),
	token_digest VARCHAR(64) NOT NULL,
	invited_by VARCHAR(30),
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	accepted_at TIMESTAMP WITH TIME ZONE,
	accepted_by VARCHAR(30),
	revoked_at TIMESTAMP WITH TIME ZONE,
	org_id VARCHAR(30) NOT NULL,
	CONSTRAINT pk_bz_orgs_invitations PRIMARY KEY (id),
	CONSTRAINT fk_bz_orgs_invitations_org_id_team_id_bz_orgs_teams FOREIGN KEY(org_id, team_id) REFERENCES bz_orgs_teams (org_id, id) ON DELETE CASCADE,
	CONSTRAINT uq_bz_orgs_invitations_token_digest UNIQUE (token_digest),
	CONSTRAINT fk_bz_orgs_invitations_org_id_bz_orgs FOREIGN KEY(org_id) REFERENCES bz_orgs (id) ON DELETE CASCADE
)
""",
        "CREATE INDEX ix_bz_orgs_invitations_email ON bz_orgs_invitations (email)",
        "CREATE INDEX ix_bz_orgs_invitations_org_id ON bz_orgs_invitations (org_id)",
        'ALTER TABLE "bz_api_keys" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_api_keys" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_api_keys"',
        'CREATE POLICY bz_organization ON "bz_api_keys" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_idempotency" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_idempotency" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_idempotency"',
        'CREATE POLICY bz_organization ON "bz_idempotency" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_ip_allowlist" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_ip_allowlist" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_ip_allowlist"',
        'CREATE POLICY bz_organization ON "bz_ip_allowlist" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_limits" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_limits" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_limits"',
        'CREATE POLICY bz_organization ON "bz_limits" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_limits_alerts" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_limits_alerts" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_limits_alerts"',
        'CREATE POLICY bz_organization ON "bz_limits_alerts" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_limits_violations" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_limits_violations" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_limits_violations"',
        'CREATE POLICY bz_organization ON "bz_limits_violations" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_preferences" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_preferences" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_preferences"',
        'CREATE POLICY bz_organization ON "bz_preferences" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_rbac_assignments" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_rbac_assignments" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_rbac_assignments"',
        'CREATE POLICY bz_organization ON "bz_rbac_assignments" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_rbac_grants" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_rbac_grants" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_rbac_grants"',
        'CREATE POLICY bz_organization ON "bz_rbac_grants" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_rbac_roles" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_rbac_roles" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_rbac_roles"',
        'CREATE POLICY bz_organization ON "bz_rbac_roles" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_secrets" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_secrets" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_secrets"',
        'CREATE POLICY bz_organization ON "bz_secrets" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_usage_callers" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_usage_callers" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_usage_callers"',
        'CREATE POLICY bz_organization ON "bz_usage_callers" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_usage_counts" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_usage_counts" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_usage_counts"',
        'CREATE POLICY bz_organization ON "bz_usage_counts" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_usage_marks" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_usage_marks" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_usage_marks"',
        'CREATE POLICY bz_organization ON "bz_usage_marks" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_usage_requests" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_usage_requests" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_usage_requests"',
        'CREATE POLICY bz_organization ON "bz_usage_requests" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_usage_totals" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_usage_totals" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_usage_totals"',
        'CREATE POLICY bz_organization ON "bz_usage_totals" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_orgs_domains" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_orgs_domains" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_orgs_domains"',
        'CREATE POLICY bz_organization ON "bz_orgs_domains" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_orgs_members" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_orgs_members" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_orgs_members"',
        'CREATE POLICY bz_organization ON "bz_orgs_members" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_orgs_teams" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_orgs_teams" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_orgs_teams"',
        'CREATE POLICY bz_organization ON "bz_orgs_teams" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_orgs_invitations" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_orgs_invitations" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_orgs_invitations"',
        'CREATE POLICY bz_organization ON "bz_orgs_invitations" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_orgs_team_members" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_orgs_team_members" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_orgs_team_members"',
        'CREATE POLICY bz_organization ON "bz_orgs_team_members" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
        'ALTER TABLE "bz_orgs_workspaces" ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE "bz_orgs_workspaces" FORCE ROW LEVEL SECURITY',
        'DROP POLICY IF EXISTS bz_organization ON "bz_orgs_workspaces"',
        'CREATE POLICY bz_organization ON "bz_orgs_workspaces" USING ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\') WITH CHECK ("org_id" = nullif(current_setting(\'bartizan.org_id\', true), \'\') OR current_setting(\'bartizan.org_id\', true) = \'*\')',
    ),
}

DOWN: dict[str, tuple[str, ...]] = {
    "sqlite": (
        'DROP TABLE "bz_orgs_workspaces"',
        'DROP TABLE "bz_orgs_team_members"',
        'DROP TABLE "bz_orgs_invitations"',
        'DROP TABLE "bz_sessions_refresh"',
        'DROP TABLE "bz_orgs_teams"',
        'DROP TABLE "bz_orgs_members"',
        'DROP TABLE "bz_orgs_domains"',
        'DROP TABLE "bz_wakeups"',
        'DROP TABLE "bz_usage_writers"',
        'DROP TABLE "bz_usage_totals"',
        'DROP TABLE "bz_usage_requests"',
        'DROP TABLE "bz_usage_marks"',
        'DROP TABLE "bz_usage_counts"',
        'DROP TABLE "bz_usage_callers"',
        'DROP TABLE "bz_sessions_owner_links"',
        'DROP TABLE "bz_sessions"',
        'DROP TABLE "bz_secrets_platform"',
        'DROP TABLE "bz_secrets"',
        'DROP TABLE "bz_rbac_roles"',
        'DROP TABLE "bz_rbac_grants"',
        'DROP TABLE "bz_rbac_assignments"',
        'DROP TABLE "bz_preferences_global"',
        'DROP TABLE "bz_preferences"',
        'DROP TABLE "bz_orgs"',
        'DROP TABLE "bz_limits_violations"',
        'DROP TABLE "bz_limits_alerts"',
        'DROP TABLE "bz_limits"',
        'DROP TABLE "bz_jobs_schedules"',
        'DROP TABLE "bz_jobs"',
        'DROP TABLE "bz_ip_allowlist_versions"',
        'DROP TABLE "bz_ip_allowlist_global"',
        'DROP TABLE "bz_ip_allowlist"',
        'DROP TABLE "bz_identity_users"',
        'DROP TABLE "bz_identity_links"',
        'DROP TABLE "bz_identity_attempts"',
        'DROP TABLE "bz_idempotency"',
        'DROP TABLE "bz_events_inbox"',
        'DROP TABLE "bz_events_heads"',
        'DROP TABLE "bz_events"',
        'DROP TABLE "bz_email_messages"',
        'DROP TABLE "bz_crypto_signing_keys"',
        'DROP TABLE "bz_audit_subject_keys"',
        'DROP TABLE "bz_audit_logs"',
        'DROP TABLE "bz_audit_events"',
        'DROP TABLE "bz_audit_disclosures"',
        'DROP TABLE "bz_api_keys"',
    ),
    "postgresql": (
        'DROP TABLE "bz_orgs_workspaces"',
        'DROP TABLE "bz_orgs_team_members"',
        'DROP TABLE "bz_orgs_invitations"',
        'DROP TABLE "bz_sessions_refresh"',
        'DROP TABLE "bz_orgs_teams"',
        'DROP TABLE "bz_orgs_members"',
        'DROP TABLE "bz_orgs_domains"',
        'DROP TABLE "bz_wakeups"',
        'DROP TABLE "bz_usage_writers"',
        'DROP TABLE "bz_usage_totals"',
        'DROP TABLE "bz_usage_requests"',
        'DROP TABLE "bz_usage_marks"',
        'DROP TABLE "bz_usage_counts"',
        'DROP TABLE "bz_usage_callers"',
        'DROP TABLE "bz_sessions_owner_links"',
        'DROP TABLE "bz_sessions"',
        'DROP TABLE "bz_secrets_platform"',
        'DROP TABLE "bz_secrets"',
        'DROP TABLE "bz_rbac_roles"',
        'DROP TABLE "bz_rbac_grants"',
        'DROP TABLE "bz_rbac_assignments"',
        'DROP TABLE "bz_preferences_global"',
        'DROP TABLE "bz_preferences"',
        'DROP TABLE "bz_orgs"',
        'DROP TABLE "bz_limits_violations"',
        'DROP TABLE "bz_limits_alerts"',
        'DROP TABLE "bz_limits"',
        'DROP TABLE "bz_jobs_schedules"',
        'DROP TABLE "bz_jobs"',
        'DROP TABLE "bz_ip_allowlist_versions"',
        'DROP TABLE "bz_ip_allowlist_global"',
        'DROP TABLE "bz_ip_allowlist"',
        'DROP TABLE "bz_identity_users"',
        'DROP TABLE "bz_identity_links"',
        'DROP TABLE "bz_identity_attempts"',
        'DROP TABLE "bz_idempotency"',
        'DROP TABLE "bz_events_inbox"',
        'DROP TABLE "bz_events_heads"',
        'DROP TABLE "bz_events"',
        'DROP TABLE "bz_email_messages"',
        'DROP TABLE "bz_crypto_signing_keys"',
        'DROP TABLE "bz_audit_subject_keys"',
        'DROP TABLE "bz_audit_logs"',
        'DROP TABLE "bz_audit_events"',
        'DROP TABLE "bz_audit_disclosures"',
        'DROP TABLE "bz_api_keys"',
        "DROP FUNCTION bz_audit_append_only()",
    ),
}


def upgrade() -> None:
    connection = op.get_bind()
    for statement in UP[connection.dialect.name]:
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    connection = op.get_bind()
    for statement in DOWN[connection.dialect.name]:
        connection.exec_driver_sql(statement)
