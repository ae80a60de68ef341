// The answer of the page goes to the app by itself; without this script, by its button.
document.forms[0].submit();
