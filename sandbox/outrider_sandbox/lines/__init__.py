"""The lines beside the network: TLS, a name server, a mail host and a SIP registrar."""
