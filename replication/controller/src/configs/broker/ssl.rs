//! TLS: keys, trust and what is negotiated.

use crate::configs::definition::{Definition, boolean, class, list, password, string};

#[rustfmt::skip]
pub(super) static DEFINITIONS: &[Definition] = &[
    boolean("ssl.allow.dn.changes").or("false").low()
        .doc("Whether a renewed certificate may name another subject."),
    boolean("ssl.allow.san.changes").or("false").low()
        .doc("Whether a renewed certificate may name other hosts."),
    list("ssl.cipher.suites").or("").per_broker()
        .doc("The cipher suites that are offered; empty is the library's choice."),
    string("ssl.client.auth").or("none").one_of(&["required", "requested", "none"]).per_broker()
        .doc("Whether clients must present a certificate."),
    list("ssl.enabled.protocols").or("TLSv1.2,TLSv1.3").per_broker()
        .doc("The TLS versions that are offered."),
    string("ssl.endpoint.identification.algorithm").or("https").per_broker().low()
        .doc("How the name in a server's certificate is checked; empty does not check."),
    class("ssl.engine.factory.class").per_broker().low()
        .doc("The class that makes TLS engines."),
    password("ssl.key.password").per_broker()
        .doc("The password of the private key."),
    string("ssl.keymanager.algorithm").or("SunX509").per_broker()
        .doc("The algorithm of Java's key manager."),
    password("ssl.keystore.certificate.chain").per_broker()
        .doc("The certificate chain, as PEM."),
    password("ssl.keystore.key").per_broker()
        .doc("The private key, as PEM."),
    string("ssl.keystore.location").per_broker()
        .doc("The file of the key store."),
    password("ssl.keystore.password").per_broker()
        .doc("The password of the key store."),
    string("ssl.keystore.type").or("JKS").per_broker()
        .doc("The format of the key store."),
    string("ssl.principal.mapping.rules").or("DEFAULT").low()
        .doc("How the subject of a certificate becomes a user name."),
    string("ssl.protocol").or("TLSv1.3").per_broker()
        .doc("The TLS version of Java's context."),
    string("ssl.provider").per_broker()
        .doc("The Java security provider for TLS."),
    string("ssl.secure.random.implementation").per_broker().low()
        .doc("The source of randomness for TLS."),
    string("ssl.trustmanager.algorithm").or("PKIX").per_broker()
        .doc("The algorithm of Java's trust manager."),
    password("ssl.truststore.certificates").per_broker()
        .doc("The trusted certificates, as PEM."),
    string("ssl.truststore.location").per_broker()
        .doc("The file of the trust store."),
    password("ssl.truststore.password").per_broker()
        .doc("The password of the trust store."),
    string("ssl.truststore.type").or("JKS").per_broker()
        .doc("The format of the trust store."),
];
