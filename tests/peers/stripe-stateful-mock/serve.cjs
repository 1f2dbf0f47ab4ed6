// Serves stripe-stateful-mock on a free port of 127.0.0.1 (its own command binds everywhere) and prints the port.
// Run it in the folder that holds the node_modules.
"use strict";

const { createRequire } = require("node:module");

const app = createRequire(`${process.cwd()}/`)("stripe-stateful-mock").createExpressApp();
const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
