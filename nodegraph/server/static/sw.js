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
		build: "5d503a94cb2e27ba",
		files: [
			"assets/AboutDialog-B5XE6iLt.js",
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AppMode-BB0ssaVm.css",
			"assets/AppMode-CQByi5tO.js",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CardPlayer-nfQ8nZoB.js",
			"assets/CommentsPanel-C-D5k-Xa.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/Completing-9DF3CN1e.js",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FailureDialog-COKjzG9a.js",
			"assets/FileView-CoP8BmUv.js",
			"assets/FrameSteps-BgT6o6-6.js",
			"assets/GalleryPanel-C_cpWmUo.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GeneratePage-Bt0iXqX0.js",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-BJ8yLe_I.js",
			"assets/GetModelsDialog-DJE3qV_R.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-eLDqfvU_.js",
			"assets/HelpPanel-BLWQbUSt.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/HistoryPanel-HTf8gzS4.js",
			"assets/InspectorPanel-B7T55tBP.js",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InstallPack-CjBXQkUi.js",
			"assets/LackingDialog-Bp2pULWX.js",
			"assets/LessonHost-CIVno_57.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-ChsO7aGu.css",
			"assets/License-Q1DKG5Ff.js",
			"assets/LivePlot-DP79oZQt.js",
			"assets/LivePlotDialog-Cp13TY4b.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/Marks-BKIMtbkB.js",
			"assets/MaskDialog-LqbxUAW2.js",
			"assets/MaskDialog-PzaAcCfv.css",
			"assets/MissingDialog-CVmp16D1.js",
			"assets/ModelsPanel-BuHRhjkV.css",
			"assets/ModelsPanel-bLfOymuh.js",
			"assets/MoleculeView-JAOa-sRT.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/NodePresetsDialog-CJzQbjTy.js",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OpenDialog-CzNd1skR.js",
			"assets/OrganizeDialog-yN9BY8Am.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PackPanel-CTKZZPTC.js",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PacksDialog-CiH0fUwb.js",
			"assets/PaintingView-CZAHD9O5.js",
			"assets/PaintingView-vwScJV5K.css",
			"assets/PalettePanel-BanDXoF8.js",
			"assets/PalettePanel-XJSsuStS.css",
			"assets/ParametersPanel-D28vZRza.js",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/PlotFile-CAbx07Xt.js",
			"assets/PlotView-CZTfMe3g.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/Presence-BLLDaXk0.js",
			"assets/Presence-UshiLqxF.css",
			"assets/ProblemHelp-DzFJa238.js",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemsPanel-B6ZwqWnB.js",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/QueuePanel-U81LWxIb.js",
			"assets/ResultPanel-BNKooFHK.js",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/RowsDialog-BWPrMCva.js",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/SaveAsDialog-ORuJl1Ul.js",
			"assets/Section-DGLvzWe1.css",
			"assets/Section-lCabwd_y.js",
			"assets/SendDialog-Fg2rknEn.js",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SettingsDialog-CrUTIoUj.js",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/ShapeView-Devekmoe.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShareDialog-BecO71Lz.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/ShortcutsDialog-joYyzBDY.js",
			"assets/SmallPlot-D8zDbxYp.js",
			"assets/SoundPlayer-CDJINp_W.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SpaceStage-BXmD7Zyu.js",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/Stars-Bya5qWik.css",
			"assets/Stars-DWcVy29o.js",
			"assets/SweepDialog-BwVUDGG_.js",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/TextFile-Dz3u7Pf_.js",
			"assets/ToolFields-BrxoZMy2.css",
			"assets/ToolFields-D9w-cG98.js",
			"assets/TranslatedDialog-Cf37HHrV.js",
			"assets/VideoPlayer-F23Gqqtw.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/Viewer-BaKI-l6j.css",
			"assets/Viewer-CwhwOaFl.js",
			"assets/actions-DYSqiCnW.js",
			"assets/browser-CNUOa7fH.js",
			"assets/bytes-mA_wSl9b.js",
			"assets/chooseFile-qXRWmMfJ.js",
			"assets/de-D07tKtbp.js",
			"assets/de-mtXZhYT-.js",
			"assets/download-qrOJwrrJ.js",
			"assets/draftLink-BZdWZ6sE.js",
			"assets/ellipsis-vertical-Br_pK0n2.js",
			"assets/en-8z-xnYHb.js",
			"assets/en-BImwFuxO.js",
			"assets/encoder.worker-Bq0-6_QS.js",
			"assets/engine-DyhPnM7q.js",
			"assets/es-BMj_fhlU.js",
			"assets/es-C96QjH3x.js",
			"assets/exportSvg-Ck4kBSRj.js",
			"assets/exporting-BaL4Nn7n.js",
			"assets/eye-off-z6aZN8p-.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-B9HXqkXm.js",
			"assets/frames-ClUiWNST.js",
			"assets/graph-D4Cqm9Zo.css",
			"assets/graph-D6BSQcUN.js",
			"assets/grid-Bre8C10W.js",
			"assets/grid-Q0JRyZYU.js",
			"assets/icons-CAmd6XwK.js",
			"assets/importing--mcGrL4F.js",
			"assets/index-BuyBoOwF.js",
			"assets/index-CSHQSRLG.css",
			"assets/install-C6NJycEs.js",
			"assets/ja-C9jnq-Um.js",
			"assets/ja-wgsREnFe.js",
			"assets/kit-C71rNCQa.css",
			"assets/kit-CpFlFLfF.js",
			"assets/layerActions-CX6D3sIo.js",
			"assets/lessons-CZUHNHDo.js",
			"assets/modelOffers-bmwURUrU.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-CslEGjxW.js",
			"assets/palette-DgVzBRmH.js",
			"assets/pictures-en5Jy7dJ.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-CcuGVo7k.js",
			"assets/resolve-DF6bv-JN.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-DtC5u0mB.js",
			"assets/saving-Dm_oFl3m.js",
			"assets/share-jeeoYGmi.js",
			"assets/shared-Bc1SHRJs.css",
			"assets/shared-zFGuw2u_.js",
			"assets/start-CDFxuRXZ.js",
			"assets/starting-B3TEnmUo.js",
			"assets/states-W2TYp8qX.js",
			"assets/taking-DQj4aYZd.js",
			"assets/typeTexts-DnH269jJ.js",
			"assets/useAnswer-CoT7qYjU.js",
			"assets/useConnection-BGdeZAVa.js",
			"assets/useFile-BWHmbBWQ.js",
			"assets/useInfiniteQuery-Ch10qo01.js",
			"assets/useZoom-D39qydyk.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-Zgs2W3yK.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-DQeLXapR.js",
			"assets/zh-Hans-DYwZpYGL.js",
			"assets/zh-Hans-RV5hY-SW.js"
		]
	});
})();
