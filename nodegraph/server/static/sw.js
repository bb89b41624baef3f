(function() {
	// src/pwa/shell.ts
	var PREFIX = "nodegraph-shell";
	/** Addresses of the page below the worker's own. */
	var PAGES = /* @__PURE__ */ new Set(["", "generate"]);
	/** Files beside the page that keep their name when they change. */
	var NAMED = [
		"favicon.svg",
		"manifest.webmanifest",
		"icon-192.png",
		"icon-512.png"
	];
	/** What a proxy says of a server that is away. */
	var AWAY = /* @__PURE__ */ new Set([
		502,
		503,
		504
	]);
	/** Files that are fetched at once: the page has work of its own meanwhile. */
	var AT_ONCE = 4;
	function startShell(scope, { build, files }) {
		const base = new URL("./", scope.location.href).href;
		const prefix = `${PREFIX} ${base} `;
		const name = prefix + build;
		scope.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => scope.skipWaiting())));
		scope.addEventListener("activate", (event) => event.waitUntil(dropOld().then(() => scope.clients.claim())));
		scope.addEventListener("fetch", (event) => {
			const answer = answerOf(event.request);
			if (answer !== null) event.respondWith(answer);
		});
		function answerOf(request) {
			if (request.method !== "GET" || !request.url.startsWith(base)) return null;
			const path = new URL(request.url).pathname.slice(new URL(base).pathname.length);
			if (request.mode === "navigate") return PAGES.has(path) ? newest(request, base) : null;
			if (path.startsWith("assets/")) return keptOr(request);
			return NAMED.includes(path) ? newest(request, request.url) : null;
		}
		/** From the server; what is kept where that is away. */
		async function newest(request, key) {
			const kept = () => keptIn(name, key);
			try {
				const answer = await scope.fetch(request);
				return AWAY.has(answer.status) ? await kept() ?? answer : answer;
			} catch (error) {
				const answer = await kept();
				if (answer === void 0) throw error;
				return answer;
			}
		}
		/** What is kept of any build, for its name tells its content; else from the server. */
		async function keptOr(request) {
			return await keptFile(request.url) ?? scope.fetch(request);
		}
		async function keptFile(url) {
			for (const key of await ownCaches()) {
				const found = await keptIn(key, url);
				if (found !== void 0) return found;
			}
		}
		function keptIn(cacheName, url) {
			return scope.caches.match(url, {
				...LOOSELY,
				cacheName
			});
		}
		/** Keep all of this build, or nothing: half a page would be worse than none. */
		async function keepAll() {
			if (await keptIn(name, base) !== void 0) return;
			try {
				const page = await fetched(base, "no-cache");
				checkPage(await page.clone().text(), files);
				const cache = await scope.caches.open(name);
				const left = [...files, ...NAMED];
				const work = async () => {
					for (let path = left.pop(); path !== void 0; path = left.pop()) {
						const url = base + path;
						const isHashed = path.startsWith("assets/");
						const known = isHashed ? await keptFile(url) : void 0;
						await cache.put(url, known ?? await fetched(url, isHashed ? "default" : "no-cache"));
					}
				};
				await Promise.all(Array.from({ length: AT_ONCE }, work));
				await cache.put(base, page);
			} catch (error) {
				await scope.caches.delete(name);
				throw error;
			}
		}
		/** An answer that is what was asked for: one to log in, or of a proxy, isn't. */
		async function fetched(url, cache) {
			const answer = await scope.fetch(url, {
				cache,
				credentials: "same-origin"
			});
			if (!answer.ok || answer.redirected) throw new Error(`${url} answered ${answer.status}`);
			return answer;
		}
		/** The caches of this server, the newest first. */
		async function ownCaches() {
			return (await scope.caches.keys()).filter((key) => key.startsWith(prefix)).reverse();
		}
		async function dropOld() {
			const others = (await ownCaches()).filter((key) => key !== name);
			for (const key of others.slice(1)) await scope.caches.delete(key);
		}
	}
	/** The same file comes packed in several ways, and a page's address may carry a question. */
	var LOOSELY = {
		ignoreVary: true,
		ignoreSearch: true
	};
	/** Names of the files that a page loads first, below its own address. */
	function filesOf(page) {
		return [...page.matchAll(/(?:src|href)="[^"]*?(assets\/[\w.-]+)"/g)].map(([, path = ""]) => path);
	}
	/** The page that the server has just now must be of this build. */
	function checkPage(page, files) {
		const strange = filesOf(page).find((path) => !files.includes(path));
		if (strange !== void 0) throw new Error(`${strange} is of another build`);
	}
	// src/pwa/worker.ts
	/** The service worker: built by itself into `sw.js`, see scripts/serviceWorker.ts. */
	startShell(self, {
		build: "bbc1f4c7a58a8f45",
		files: [
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AboutDialog-BjImxEaP.js",
			"assets/AppMode-BB0ssaVm.css",
			"assets/AppMode-D2dsf7RF.js",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CardPlayer-D_pw8Fgh.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/CommentsPanel-Dz3inB5g.js",
			"assets/Completing-CWftHB7V.js",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FailureDialog-DxY6k3Kd.js",
			"assets/FileView-DO82OzEq.js",
			"assets/FrameSteps-BM1-7WIp.js",
			"assets/GalleryPanel-DdyPgYeq.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GeneratePage-CJN4dqBS.js",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-C526SpWN.js",
			"assets/GetModelsDialog-BxWqn4ym.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-BdNs-uuk.js",
			"assets/HelpPanel-Bje9A8Ca.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/HistoryPanel-DLX0p3h1.js",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InspectorPanel-ChCu56xy.js",
			"assets/InstallPack-CnflnfIG.js",
			"assets/LackingDialog-wc8SCRqS.js",
			"assets/LessonHost-DCQbLTRz.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-ChsO7aGu.css",
			"assets/License-sWx21oPi.js",
			"assets/LivePlot-BcPio83Q.js",
			"assets/LivePlotDialog-BNSfqAOE.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/Marks-OlFiFbIq.js",
			"assets/MaskDialog-CHbWYfZm.js",
			"assets/MaskDialog-PzaAcCfv.css",
			"assets/MissingDialog-VCp0uK0T.js",
			"assets/ModelsPanel-BuHRhjkV.css",
			"assets/ModelsPanel-D068lYmc.js",
			"assets/MoleculeView-DchpRa21.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/NodePresetsDialog-CK2BZMy6.js",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/OpenDialog-Bi2Wgdf2.js",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OrganizeDialog-C5S7HiiL.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PackPanel-DTy646VA.js",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PacksDialog-BJQYQTnI.js",
			"assets/PaintingView-BePs32pT.js",
			"assets/PaintingView-vwScJV5K.css",
			"assets/PalettePanel-QpVr2EWW.js",
			"assets/PalettePanel-XJSsuStS.css",
			"assets/ParametersPanel-B6CVMk8I.js",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/PlotFile-Bkh6c110.js",
			"assets/PlotView-BXLaC7Q8.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/Presence-UshiLqxF.css",
			"assets/Presence-uLuNXkRx.js",
			"assets/ProblemHelp-CGy8rcU8.js",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/ProblemsPanel-xasvbzt9.js",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/QueuePanel-RGd2XTdB.js",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/ResultPanel-DWr_2Cxi.js",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/RowsDialog-UWLk5KxD.js",
			"assets/SaveAsDialog-32modr-Y.js",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/Section-DGLvzWe1.css",
			"assets/Section-UDWXGY65.js",
			"assets/SendDialog-DyNRSWAs.js",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/SettingsDialog-DePuDQlR.js",
			"assets/ShapeView-YwBtMpvW.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShareDialog-DGN3yUbK.js",
			"assets/ShortcutsDialog-C6SQeYdQ.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/SmallPlot-BOe3anc0.js",
			"assets/SoundPlayer-Chdv6oIk.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SpaceStage-C_p1_fRN.js",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/Stars-BS0HOQHA.js",
			"assets/Stars-Bya5qWik.css",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/SweepDialog-nzyPCc1a.js",
			"assets/TextFile-BneIRqBt.js",
			"assets/ToolFields-BPoaYEqw.js",
			"assets/ToolFields-BrxoZMy2.css",
			"assets/TranslatedDialog-BdQJ1jF3.js",
			"assets/VideoPlayer-DgA6wXiI.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/Viewer-BaKI-l6j.css",
			"assets/Viewer-yQjie47-.js",
			"assets/actions-CEMVbSmj.js",
			"assets/browser-CNUOa7fH.js",
			"assets/bytes-mA_wSl9b.js",
			"assets/chooseFile-qXRWmMfJ.js",
			"assets/de-D07tKtbp.js",
			"assets/de-mtXZhYT-.js",
			"assets/download-qrOJwrrJ.js",
			"assets/draftLink-ZAfvrwRf.js",
			"assets/ellipsis-vertical-Br_pK0n2.js",
			"assets/en-8z-xnYHb.js",
			"assets/en-BImwFuxO.js",
			"assets/encoder.worker-Bq0-6_QS.js",
			"assets/engine-DyhPnM7q.js",
			"assets/es-BMj_fhlU.js",
			"assets/es-C96QjH3x.js",
			"assets/exportSvg-Ce2Vy3Cl.js",
			"assets/exporting-vl4azxJ0.js",
			"assets/eye-off-z6aZN8p-.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-B9HXqkXm.js",
			"assets/frames-HsopWZHi.js",
			"assets/graph-4kL0OZw-.js",
			"assets/graph-D4Cqm9Zo.css",
			"assets/grid-Bre8C10W.js",
			"assets/grid-DLvJkdNA.js",
			"assets/icons-CAmd6XwK.js",
			"assets/importing-uuImFQZq.js",
			"assets/index-B1Lzbfr9.css",
			"assets/index-BQwK__35.js",
			"assets/install-BMIRrb6M.js",
			"assets/ja-C9jnq-Um.js",
			"assets/ja-wgsREnFe.js",
			"assets/kit-C71rNCQa.css",
			"assets/kit-Dv11P9gI.js",
			"assets/layerActions-D_YsjlH2.js",
			"assets/lessons-Fvg2LgE1.js",
			"assets/modelOffers-Cv9pdaSV.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-CGmhWrZv.js",
			"assets/palette-DgVzBRmH.js",
			"assets/pictures-BDBF74W1.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-Df4T5Q9G.js",
			"assets/resolve-BFY43-L1.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-CPwl0J7k.js",
			"assets/saving-Bdb1Dgrc.js",
			"assets/share-DzLeyIZm.js",
			"assets/shared-BAExiHbB.js",
			"assets/shared-Bc1SHRJs.css",
			"assets/start-CHoXDn2I.js",
			"assets/starting-DoC1PKEe.js",
			"assets/states-xSFSanGB.js",
			"assets/taking-BQ9To3gD.js",
			"assets/typeTexts-Ctj6I3AO.js",
			"assets/useAnswer-0flfg7M5.js",
			"assets/useConnection-D2hyrgR0.js",
			"assets/useFile-CIX08fFL.js",
			"assets/useInfiniteQuery-C02Uinnm.js",
			"assets/useZoom-E3t4tUeV.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-C5vZtmfO.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-CoWn7IK-.js",
			"assets/zh-Hans-DYwZpYGL.js",
			"assets/zh-Hans-RV5hY-SW.js"
		]
	});
})();
