//! Who may connect and what they may do: SASL, delegation tokens, authorization.

use crate::configs::definition::{Allowed, Definition, boolean, class, double, int, list, long, password, short, string};

#[rustfmt::skip]
pub(super) static DEFINITIONS: &[Definition] = &[
    string("authorizer.class.name").or("").low()
        .doc("The class that decides what users may do."),
    int("connection.failed.authentication.delay.ms").or("100").at_least(0).low()
        .doc("How long a connection that failed to authenticate is held before it is closed."),
    long("delegation.token.expiry.check.interval.ms").or("3600000").at_least(1).low()
        .doc("How often expired delegation tokens are looked for."),
    long("delegation.token.expiry.time.ms").or("86400000").at_least(1)
        .doc("How long a delegation token holds before it must be renewed."),
    long("delegation.token.max.lifetime.ms").or("604800000").at_least(1)
        .doc("How long a delegation token can be renewed."),
    password("delegation.token.secret.key")
        .doc("The key delegation tokens are signed with; the same on all brokers."),
    class("principal.builder.class").or("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder").per_broker()
        .doc("The class that turns an authenticated connection into a user."),
    class("sasl.client.callback.handler.class")
        .doc("The class that answers SASL questions as a client."),
    list("sasl.enabled.mechanisms").or("GSSAPI").per_broker()
        .doc("The SASL mechanisms that are offered."),
    password("sasl.jaas.config").per_broker()
        .doc("The login settings of SASL, in Java's format."),
    string("sasl.kerberos.kinit.cmd").or("/usr/bin/kinit").per_broker()
        .doc("The path of kinit."),
    long("sasl.kerberos.min.time.before.relogin").or("60000").per_broker()
        .doc("The shortest time between two Kerberos logins."),
    list("sasl.kerberos.principal.to.local.rules").or("DEFAULT").per_broker()
        .doc("How a Kerberos principal becomes a user name."),
    string("sasl.kerberos.service.name").per_broker()
        .doc("The Kerberos name of the service."),
    double("sasl.kerberos.ticket.renew.jitter").or("0.05").per_broker()
        .doc("How much chance is added to the time of renewal."),
    double("sasl.kerberos.ticket.renew.window.factor").or("0.8").per_broker()
        .doc("After which share of its life a ticket is renewed."),
    class("sasl.login.callback.handler.class")
        .doc("The class that answers login questions."),
    class("sasl.login.class")
        .doc("The class that logs in."),
    int("sasl.login.connect.timeout.ms").low()
        .doc("How long a login waits for a connection to the provider."),
    int("sasl.login.read.timeout.ms").low()
        .doc("How long a login waits for the provider's answer."),
    short("sasl.login.refresh.buffer.seconds").or("300").per_broker()
        .doc("How long before its end a credential is renewed at the latest."),
    short("sasl.login.refresh.min.period.seconds").or("60").per_broker()
        .doc("How long a credential is kept at least before it is renewed."),
    double("sasl.login.refresh.window.factor").or("0.8").per_broker()
        .doc("After which share of its life a credential is renewed."),
    double("sasl.login.refresh.window.jitter").or("0.05").per_broker()
        .doc("How much chance is added to the time of renewal."),
    long("sasl.login.retry.backoff.max.ms").or("10000").low()
        .doc("The longest wait between two attempts to log in."),
    long("sasl.login.retry.backoff.ms").or("100").low()
        .doc("The first wait between two attempts to log in."),
    string("sasl.mechanism.controller.protocol").or("GSSAPI").high()
        .doc("The SASL mechanism towards the controller."),
    string("sasl.mechanism.inter.broker.protocol").or("GSSAPI").per_broker()
        .doc("The SASL mechanism between brokers."),
    boolean("sasl.oauthbearer.allow.unverified.audience").or("false")
        .doc("Whether tokens are accepted without a check of their audience."),
    boolean("sasl.oauthbearer.allow.unverified.issuer").or("false")
        .doc("Whether tokens are accepted without a check of their issuer."),
    string("sasl.oauthbearer.assertion.algorithm").or("RS256").allow(Allowed::OneOfAnyCase(&["ES256", "RS256"]))
        .doc("The algorithm assertions are signed with."),
    string("sasl.oauthbearer.assertion.claim.aud")
        .doc("The audience an assertion names."),
    int("sasl.oauthbearer.assertion.claim.exp.seconds").or("300").between(0, 86_400).low()
        .doc("How long an assertion holds."),
    string("sasl.oauthbearer.assertion.claim.iss")
        .doc("The issuer an assertion names."),
    boolean("sasl.oauthbearer.assertion.claim.jti.include").or("false")
        .doc("Whether an assertion carries an id of its own."),
    int("sasl.oauthbearer.assertion.claim.nbf.seconds").or("60").between(0, 3600).low()
        .doc("How far back an assertion begins to hold."),
    string("sasl.oauthbearer.assertion.claim.sub")
        .doc("The subject an assertion names."),
    string("sasl.oauthbearer.assertion.file")
        .doc("A file with a ready assertion."),
    string("sasl.oauthbearer.assertion.private.key.file")
        .doc("The file of the key assertions are signed with."),
    password("sasl.oauthbearer.assertion.private.key.passphrase")
        .doc("The passphrase of that key."),
    string("sasl.oauthbearer.assertion.template.file")
        .doc("A file with claims to put into assertions."),
    string("sasl.oauthbearer.client.credentials.client.id")
        .doc("The client id for the client credentials grant."),
    password("sasl.oauthbearer.client.credentials.client.secret")
        .doc("The client secret for the client credentials grant."),
    int("sasl.oauthbearer.clock.skew.seconds").or("30").low()
        .doc("How far the clocks of provider and broker may differ."),
    list("sasl.oauthbearer.expected.audience").or("").high()
        .doc("The audiences a token may name."),
    string("sasl.oauthbearer.expected.issuer").high()
        .doc("The issuer a token must name."),
    long("sasl.oauthbearer.jwks.endpoint.refresh.ms").or("3600000").low()
        .doc("How often the provider's keys are fetched."),
    long("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms").or("10000").low()
        .doc("The longest wait between two attempts to fetch them."),
    long("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms").or("100").low()
        .doc("The first wait between two attempts to fetch them."),
    string("sasl.oauthbearer.jwks.endpoint.url")
        .doc("Where the provider's keys are."),
    class("sasl.oauthbearer.jwt.retriever.class").or("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever")
        .doc("The class that fetches tokens."),
    class("sasl.oauthbearer.jwt.validator.class").or("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator")
        .doc("The class that checks tokens."),
    string("sasl.oauthbearer.scope")
        .doc("The scope that is asked for."),
    string("sasl.oauthbearer.scope.claim.name").or("scope").low()
        .doc("The claim that holds the scope."),
    string("sasl.oauthbearer.sub.claim.name").or("sub").low()
        .doc("The claim that holds the subject."),
    string("sasl.oauthbearer.token.endpoint.url")
        .doc("Where tokens are fetched."),
    class("sasl.server.callback.handler.class")
        .doc("The class that answers SASL questions as a server."),
    int("sasl.server.max.receive.size").or("524288")
        .doc("The largest message accepted before authentication is complete."),
];
