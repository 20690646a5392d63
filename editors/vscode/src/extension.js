// Starts `nacre lsp` and hands it the editor's documents; all that is known of the language is there.
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function settings() {
	return vscode.workspace.getConfiguration("nacre");
}

async function start() {
	const command = settings().get("path") || "nacre";
	const files = vscode.workspace.createFileSystemWatcher("**/*.nac");
	client = new LanguageClient("nacre", "Nacre", { command, args: ["lsp", "--stdio"] }, {
		documentSelector: [{ scheme: "file", language: "nacre" }, { scheme: "untitled", language: "nacre" }],
		initializationOptions: { checkpoint: settings().get("checkpoint") },
		synchronize: { configurationSection: "nacre", fileEvents: files },
	});
	try {
		await client.start();
	} catch (error) {
		client = undefined;
		vscode.window.showErrorMessage(`Nacre: '${command} lsp' does not start. Set nacre.path. (${error.message})`);
	}
}

async function stop() {
	const running = client;
	client = undefined;
	if (running) await running.stop();
}

async function activate(context) {
	context.subscriptions.push(
		vscode.commands.registerCommand("nacre.restart", async () => {
			await stop();
			await start();
		}),
		vscode.workspace.onDidChangeConfiguration(async (change) => {
			if (!change.affectsConfiguration("nacre.path")) return;
			await stop();
			await start();
		}),
	);
	await start();
}

module.exports = { activate, deactivate: stop };
