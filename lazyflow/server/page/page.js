import { mount, pageAddress, webSocketTransport } from "./viewer.js";

const element = document.getElementById("viewer");
mount(element, webSocketTransport(location.href), { address: pageAddress(), nonce: element.nonce, autofocus: true });
